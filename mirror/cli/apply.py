"""`mirror apply` and `mirror export`: all that the operator decided, as a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirror.cli.context import AsJson, opened, operator
from mirror.cli.output import print_json, print_line, print_note

if TYPE_CHECKING:
    from mirror.service.wishes import ApplyPlan

_SIGNS = {"add": "+", "change": "~", "remove": "-"}
PENDING = 3
"""Exit status when something is left to do."""


def apply(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="A file of TOML; `-`: standard input.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the changes, and make none.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring sources, selections, channels and the schedule to what a file says.

    A section that is absent from the file is left alone; of one that is there, what the file does
    not name is removed. Everything is checked before anything is changed. Exit status: 0 all is as
    the file says; 3 with --dry-run: there are changes to make; otherwise: something has to wait for
    the first sync.
    """
    from mirror.errors import NotConfirmed

    text, base = _read(file)
    with opened(ctx) as mirror:
        wishes = mirror.wishes.read(text, name=file if file != "-" else "the input", base=base)
        plan = mirror.wishes.plan(wishes)
        if not as_json:
            print_plan(plan)
        if plan.changes and not dry_run:
            if not yes and not _ask(file, plan):
                raise NotConfirmed(f"nothing was changed: {len(plan.changes)} changes to make")
            mirror.wishes.apply(wishes, expected=plan, by=operator())
    _print_end(plan, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(PENDING if plan.waiting or (dry_run and plan.changes) else 0)


def export(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="Where to write it; none: standard output.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write what is now, as a file for `mirror apply`.

    It holds no secret, only the names of the files that do; tokens are not in it.
    """
    with opened(ctx) as mirror:
        if as_json:
            print_json(mirror.wishes.current())
            return
        text = mirror.wishes.export()
    if file is None:
        print_line(text.rstrip("\n"))
        return
    from mirror.store.durable import write_atomic

    write_atomic(file.absolute(), text.encode(), mode=0o644)
    print_note(f"wrote {file}")


def print_plan(plan: ApplyPlan) -> None:
    """Show the changes: what is added, removed, and changed field by field."""
    for change in plan.changes:
        print_line(f"{_SIGNS[change.action]} {change.kind} {change.name}".rstrip())
        for each in change.fields:
            shown = {"add": (each.after,), "remove": (each.before,)}.get(
                change.action, (each.before, each.after)
            )
            print_line(f"    {each.field}: " + " -> ".join(map(_shown, shown)))
    for waits in plan.waiting:
        print_line(f"later: {waits}; sync, then apply the file again")


def _print_end(plan: ApplyPlan, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        import msgspec

        applied = bool(plan.changes) and not dry_run
        print_json({"applied": applied, **msgspec.to_builtins(plan)})
    elif not plan.changes:
        print_line("nothing to change")
    elif not dry_run:
        made = len(plan.changes)
        print_line("made 1 change" if made == 1 else f"made {made} changes")
        print_note("next: mirror sync --dry-run")


def _read(file: str) -> tuple[str, Path]:
    """Return the text, and the directory that its paths are relative to."""
    from mirror.errors import WishesInvalid

    try:
        if file == "-":
            return sys.stdin.buffer.read().decode(), Path.cwd()
        path = Path(file)
        return path.read_bytes().decode(), path.absolute().parent
    except (OSError, UnicodeDecodeError) as error:
        raise WishesInvalid(f"can't read {file}: {error}") from None


def _ask(file: str, plan: ApplyPlan) -> bool:
    """Ask on the terminal; without one, the answer is no."""
    if file == "-" or not sys.stdin.isatty():
        return False
    return typer.confirm(f"make these {len(plan.changes)} changes?", err=True)


def _shown(value: Any) -> str:  # noqa: ANN401  (any value of a field, as JSON has it)
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "(none)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "" if value is None else str(value)
    line, *more = text.splitlines() or [""]
    return f"{line} ..." if more else line or "(none)"
