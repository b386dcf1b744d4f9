"""Commands that are imported when they are called: listing them costs nothing."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group


class LazyGroup(TyperGroup):
    """A group that knows the names and the help of its commands, and imports one to run it.

    `lazy` has for each command where it is (`module:attribute`; a Typer app, or a function) and
    the line that the list shows. What lists or completes names sees stand-ins made of that.
    """

    lazy: ClassVar[dict[str, tuple[str, str]]] = {}

    def __init__(self, **more: Any) -> None:  # noqa: ANN401  (what Typer hands to its group)
        super().__init__(**more)
        for name, (_where, text) in self.lazy.items():
            self.commands[name] = TyperCommand(name, short_help=text)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401
        """Find the command that the first argument names, and import it."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in self.lazy:
            command = load(name, self.lazy[name][0])
        return name, command, rest


def load(name: str, where: str) -> Any:  # noqa: ANN401  (Typer keeps the type of a command private)
    """Import one command."""
    found = resolve_name(where)
    parent = typer.Typer(rich_markup_mode=None, add_completion=False)
    if isinstance(found, typer.Typer):
        parent.add_typer(found, name=name)
    else:
        parent.command(name)(found)
    return get_group(parent).commands[name]
