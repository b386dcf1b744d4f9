"""The hooks that curtin runs in place of its own: `curtin/curtin-hooks`."""

from __future__ import annotations

import ast
import warnings
from typing import TYPE_CHECKING

from mirror_custom_images.checks.seen import MOST_TEXT, Image, Seen, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Finding
    from mirror_custom_images.entries import Entry

HOOKS = "curtin/curtin-hooks"

_THERE = {"bash", "dash", "perl", "python3", "sh"}
"""Interpreters in the system that MAAS deploys from: an Ubuntu, without `python`."""
_FOLDERS = {"/bin", "/usr/bin", "/usr/local/bin"}
_COMPILED = 128 << 10
"""Bytes of a script that are parsed; packer-maas' longest hook has some 20 kB."""


class CurtinHooks:
    """Sees `curtin/`."""

    places = ("curtin",)

    def __init__(self) -> None:
        self.there = False
        """Whether curtin will run hooks of the image."""
        self._certain: str = ""
        self._doubtful: str = ""

    def see(self, seen: Seen) -> None:
        """Read the hooks."""
        if seen.path != HOOKS:
            return
        self.there = seen.entry.kind in {"file", "symlink", "hardlink"}
        if seen.entry.kind == "file":
            self._certain, self._doubtful = fault_of_hooks(seen.entry, seen.head(MOST_TEXT))
        elif not self.there:
            self._certain = f"is a {seen.entry.kind}, not a file"

    def findings(self, image: Image) -> Iterator[Finding]:
        """Say what keeps curtin from running them."""
        if self._certain:
            yield image.error("curtin-hooks", HOOKS, f"{HOOKS} {self._certain}")
        elif self._doubtful:
            yield image.warning("curtin-hooks", HOOKS, f"{HOOKS} {self._doubtful}")


def fault_of_hooks(entry: Entry, data: bytes) -> tuple[str, str]:
    """Return what is certainly wrong with a script of hooks, and what may be; '' for nothing.

    Both are clauses that follow the script's name.
    """
    if certain := _cant_run(entry, data):
        return certain, ""
    if not data.startswith(b"#!"):
        return "", ""  # a program, compiled
    line = data.partition(b"\n")[0][2:].decode("utf-8", "replace")
    name, unusual = _interpreter(line.split())
    if unusual or name != "python3" or len(data) > _COMPILED:
        return "", unusual
    return _python_fault(data)


def _cant_run(entry: Entry, data: bytes) -> str:
    if not data:
        return "is empty: curtin can't run it"
    if not entry.mode & 0o111:
        return "is not executable: curtin can't run it (chmod 755)"
    if not data.startswith((b"#!", b"\x7fELF")):
        return "does not begin with #!: curtin can't run it"
    if data.startswith(b"#!") and data.partition(b"\n")[0].endswith(b"\r"):
        return "has lines that end as on Windows: its interpreter is not found"
    return ""


def _interpreter(words: list[str]) -> tuple[str, str]:
    """Return the interpreter's name, and what is unusual about it."""
    if not words:
        return "", "names no interpreter behind its #!"
    folder, _, name = words[0].rpartition("/")
    if name == "env":
        name = next((each for each in words[1:] if not each.startswith("-")), "")
    if folder not in _FOLDERS or name not in _THERE:
        what = f"is for {shown(' '.join(words))}, which may not be in the Ubuntu that MAAS deploys"
        return name, f"{what} from: use python3 or bash"
    return name, ""


def _python_fault(data: bytes) -> tuple[str, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(data)
        except (RecursionError, MemoryError, ValueError):
            return "", "can't be read as Python"
        except SyntaxError as error:
            what = f"is no Python 3: line {error.lineno}: {shown(error.msg)}"
            # A newer Python allows more in f-strings than the one that we run with may do.
            return ("", what) if "f-string" in error.msg else (what, "")
    return "", ""
