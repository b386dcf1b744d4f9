"""What the documents say can be done: commands that parse, links that lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from typer.main import get_command

from mirror.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`(mirror [^`]+)`(?!`)")
_PROMPT = re.compile(r"^[$#] ")
_SHELL = {"", "sh", "console"}
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*|\.\.\.|<.*>")
"""What stands for something of the reader's: `NAME`, `FILE`, `...`."""


class Command(NamedTuple):
    """A command as a page shows it. `whole` if it could be typed as it is."""

    page: str
    text: str
    whole: bool


def commands() -> Iterator[Command]:
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        text = page.read_text()
        for language, block in _FENCE.findall(text):
            if language in _SHELL:
                for line in block.replace("\\\n", " ").splitlines():
                    if command := typed(line):
                        yield Command(name, command, whole=True)
        for inline in _INLINE.findall(_FENCE.sub("", text)):
            yield Command(name, " ".join(inline.split()), whole=False)


def typed(line: str) -> str:
    """Return the `mirror ...` that a line of a shell runs, without its path and what is before."""
    try:
        words = shlex.split(_PROMPT.sub("", line), comments=True)
    except ValueError:
        return ""
    while words and (words[0] in {"sudo", "-u"} or "=" in words[0] or words[1:2] == ["-u"]):
        words = words[3:] if words[:2] == ["sudo", "-u"] else words[1:]
    if not words or words[0].rpartition("/")[2] != "mirror":
        return ""
    for end in ("|", "||", ">", "&&", ";", "<", "&"):
        words = words[: words.index(end)] if end in words else words
    return shlex.join(["mirror", *words[1:]])


def resolve(words: list[str]) -> tuple[typer.Context, Any, list[str]]:
    """Walk nouns and verbs as the command line does; return the command and what is left."""
    command: Any = get_command(app)
    ctx = command.make_context("mirror", [], resilient_parsing=True)
    while words and hasattr(command, "resolve_command") and not words[0].startswith("-"):
        name, (_, command, words) = words[0], command.resolve_command(ctx, words)
        assert command is not None, f"no such command: {name}"
        ctx = command.make_context(command.name, [], parent=ctx, resilient_parsing=True)
    return ctx, command, words


OF_PLUGINS = ("mirror NAME ", "mirror debian ")
"""Commands of plugins: of any, and of the one that docs/plugins.md makes."""
ALL = sorted(each for each in set(commands()) if not each.text.startswith(OF_PLUGINS))


@pytest.mark.parametrize("command", ALL, ids=lambda each: f"{each.page}: {each.text}"[:90])
def test_every_command_parses(command):
    words = shlex.split(command.text)[1:]
    takes = {
        option: 1 if getattr(each, "is_flag", False) else 2
        for each in get_command(app).params
        for option in each.opts
    }
    while words and words[0] in takes.keys() - {"--help", "--version"}:
        words = words[takes[words[0]] :]  # `--data-dir D` comes before the noun
    words = [word for word in words if word != "..."]
    if words and "|" in words[-1]:
        words = [*words[:-1], words[-1].split("|")[0]]
    ctx, found, rest = resolve(words)
    known = {opt for each in found.params for opt in (*each.opts, *each.secondary_opts)}
    given = {word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"}
    assert given <= known | {"--help"}, f"{command.page} shows options that there are not"
    if hasattr(found, "resolve_command"):
        assert not rest or given, f"{command.page}: {rest}"
    elif command.whole and not any(_PLACEHOLDER.fullmatch(word) for word in words):
        found.make_context(found.name, rest, parent=ctx.parent)  # raises a usage error


def test_the_pages_show_commands_at_all():
    assert len(ALL) > 80
    assert sum(each.whole for each in ALL) > 30


def test_a_command_that_there_is_not_would_be_noticed():
    for wrong in (
        "mirror soruce list",
        "mirror sync --dryrun",
        "mirror source add a b --priority x",
    ):
        with pytest.raises(Exception, match=r"(?i)no such|options that|not a valid|should be"):
            test_every_command_parses(Command("here", wrong, whole=True))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    text = _FENCE.sub("", page.read_text())
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {link}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made on the web."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_setting_is_in_the_operators_book():
    from mirror.settings import Settings

    text = (ROOT / "docs" / "operators.md").read_text()
    [block] = [block for language, block in _FENCE.findall(text) if language == "toml"]
    for section, field in Settings.model_fields.items():
        if hasattr(field.default, "model_fields_set"):
            assert f"[{section}]" in block
            for key in type(field.default).model_fields:
                assert re.search(rf"^(# )?{key} = ", block, re.MULTILINE), f"{section}.{key}"


def test_the_settings_that_the_book_shows_are_the_defaults():
    import tomllib

    from mirror.settings import Settings

    text = (ROOT / "docs" / "operators.md").read_text()
    [block] = [block for language, block in _FENCE.findall(text) if language == "toml"]
    assert Settings(**tomllib.loads(block)) == Settings()


def test_the_file_that_the_page_on_apply_shows_is_one():
    from mirror.service.wish_file import read_wishes

    text = (ROOT / "docs" / "apply.md").read_text()
    [block] = [block for language, block in _FENCE.findall(text) if language == "toml"]
    assert read_wishes(block).selections
