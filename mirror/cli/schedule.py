"""`mirror schedule`: when `mirror serve` syncs by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mirror.cli.context import AsJson, opened, operator
from mirror.cli.output import human_seconds, print_json, print_line

if TYPE_CHECKING:
    from datetime import timedelta

    from mirror.service import Mirror

app = typer.Typer(help="The schedule: when `mirror serve` syncs.", no_args_is_help=True)


@app.command()
def show(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show the schedule, its last run and the next."""
    with opened(ctx) as mirror:
        _show(mirror, as_json=as_json)


@app.command("set")
def set_(
    ctx: typer.Context,
    every: Annotated[
        str | None, typer.Option(help="How often: '30 min', '2 h', '1 d'.", show_default=False)
    ] = None,
    jitter: Annotated[
        str | None, typer.Option(help="How much later, at random, at most.", show_default=False)
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="Sync only in this window: 'mon-fri 22:00-06:00' ('': at any time)."),
    ] = None,
    quiet: Annotated[
        list[str] | None, typer.Option(help="Don't sync in this window ('': no such window).")
    ] = None,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Sync, or don't.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change the schedule; what is not named stays. Windows are in local time.

    --allow and --quiet may be repeated, and replace what was there.
    """
    import msgspec

    changes = {
        "enabled": on,
        "interval": None if every is None else _duration("--every", every),
        "jitter": None if jitter is None else _duration("--jitter", jitter),
        "allowed": None if allow is None else tuple(filter(str.strip, allow)),
        "quiet": None if quiet is None else tuple(filter(str.strip, quiet)),
    }
    wanted = {name: value for name, value in changes.items() if value is not None}
    with opened(ctx) as mirror:
        before = mirror.schedule.get()
        mirror.schedule.set(msgspec.structs.replace(before, **wanted), by=operator())
        _show(mirror, as_json=as_json)


def _show(mirror: Mirror, *, as_json: bool) -> None:
    schedule, last, due = mirror.schedule.get(), mirror.schedule.last(), mirror.schedule.next_run()
    if as_json:
        print_json({"schedule": schedule, "last": last, "next": due})
        return
    state = "on" if schedule.enabled else "off"
    interval, jitter = schedule.interval.total_seconds(), schedule.jitter.total_seconds()
    print_line(f"{state}: every {human_seconds(interval)}, up to {human_seconds(jitter)} later")
    print_line(f"allowed: {'; '.join(schedule.allowed) or 'at any time'}")
    print_line(f"quiet: {'; '.join(schedule.quiet) or 'never'}")
    if last.at:
        print_line(f"last run: {last.at.astimezone():%Y-%m-%d %H:%M:%S %Z} (job {last.job})")
    print_line(f"next run: {f'{due.astimezone():%Y-%m-%d %H:%M:%S %Z}' if due else 'none'}")


def _duration(option: str, value: str) -> timedelta:
    from mirror.errors import UsageProblem
    from mirror.settings import read_duration

    try:
        return read_duration(value)
    except ValueError:
        raise UsageProblem(
            f"{option} {value!r} is not a duration", remedy="Write it as '90 s', '30 min' or '2 h'."
        ) from None
