"""`mirror token`: who may do what."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mirror.cli.context import AsJson, Globals, opened, operator
from mirror.cli.output import print_json, print_line, print_note, print_table
from mirror.model import Role, utcnow

if TYPE_CHECKING:
    from mirror.model import Token

NEVER = "never"

app = typer.Typer(help="Tokens: who may do what.", no_args_is_help=True)


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose it is: 'MAAS region, site A'.")],
    role: Annotated[Role, typer.Option(help="What it allows; docs/access.md has the table.")],
    expires: Annotated[
        str, typer.Option(help="How long it is good: `90d`, `12h`; or `never`.")
    ] = "90d",
    channel: Annotated[
        list[str] | None, typer.Option(help="Only for this channel; may be repeated.")
    ] = None,
    licence: Annotated[
        list[str] | None,
        typer.Option(
            help="An image that is not free (subscription, proprietary) it may have, where a "
            "channel allows that too; may be repeated."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, this once: only a hash of it is kept."""
    until = _until(expires)
    with opened(ctx) as mirror:
        made = mirror.tokens.create(
            name, role, tuple(channel or ()), until, licences=licence or (), by=operator()
        )
    if as_json:
        print_json(made)
        return
    print_line(made.secret)
    print_note(f"{_describe(made.token)}; it is not shown again")


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the tokens, without their secrets."""
    with opened(ctx) as mirror:
        tokens = mirror.tokens.list()
    if as_json:
        print_json(tokens)
        return
    print_table(
        ("ID", "NAME", "ROLE", "CHANNELS", "LICENCES", "EXPIRES", "STATE"),
        [
            (
                each.id,
                each.name,
                each.role.value,
                ",".join(each.channels) or "all",
                ",".join(each.licences) or "none",
                f"{each.expires:%Y-%m-%d %H:%M}" if each.expires else NEVER,
                _state(each),
            )
            for each in tokens
        ],
    )


@app.command()
def revoke(
    ctx: typer.Context,
    token_id: Annotated[str, typer.Argument(help="Its id, as `mirror token list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Make a token useless, for good. Servers notice within seconds."""
    with opened(ctx) as mirror:
        token = mirror.tokens.revoke(token_id, by=operator())
    if as_json:
        print_json(token)
        return
    print_note(f"revoked {token.id} ({token.name})")


def login_hint(options: Globals) -> list[str]:
    """Say how to log in, to a person at a terminal, while nobody can."""
    from mirror.service import Mirror

    if not sys.stderr.isatty():
        return []
    with Mirror.open(options.settings()) as mirror:
        if mirror.tokens.any_usable():
            return []
        data_dir = mirror.settings.data_dir
    return [
        "No token is good, so nobody can change anything over the network. To log in, make one:",
        f"  mirror --data-dir {data_dir} token create NAME --role admin",
    ]


def _until(text: str) -> datetime | None:
    from pydantic import TypeAdapter, ValidationError

    from mirror.errors import UsageProblem
    from mirror.settings import Duration

    if text == NEVER:
        return None
    try:
        return utcnow() + TypeAdapter(Duration).validate_python(text)
    except (ValidationError, OverflowError):
        raise UsageProblem(
            f"--expires is {text!r}", remedy="Write it as 90d, 12h, 30min, or never."
        ) from None


def _describe(token: Token) -> str:
    until = f"expires {token.expires:%Y-%m-%d %H:%M}Z" if token.expires else "never expires"
    where = f", for {', '.join(token.channels)} only" if token.channels else ""
    what = f", with {' and '.join(token.licences)} images" if token.licences else ""
    return f"token {token.id} of role {token.role.value}{where}{what}, {until}"


def _state(token: Token) -> str:
    if token.revoked is not None:
        return "revoked"
    expired = token.expires is not None and token.expires <= utcnow()
    return "expired" if expired else "good"
