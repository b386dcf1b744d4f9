"""`mirror source`: where images come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

import typer

from mirror.cli.context import AsJson, opened, operator, run
from mirror.cli.output import print_json, print_line, print_note, print_table
from mirror.cli.source_options import SourceOptions, StreamOptions, changes_of
from mirror.cli.spread import spread

if TYPE_CHECKING:
    from mirror.model import BootSource, SourceStatus
    from mirror.service import Mirror
    from mirror.service.source_report import SourceReport

app = typer.Typer(help="Boot sources: where images come from.", no_args_is_help=True)


@app.command()
@spread
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A short name.")] = "",
    url: Annotated[str, typer.Argument(help="The base of the stream, or its index file.")] = "",
    default: Annotated[
        str, typer.Option(help="One that a plugin suggests (`mirror source defaults`).")
    ] = "",
    *,
    as_json: AsJson = False,
    **options: Unpack[SourceOptions],
) -> None:
    """Add a boot source."""
    from mirror.model import BootSource
    from mirror.service.source_rules import changed

    if not default and not (name and url):
        raise typer.BadParameter("give a NAME and a URL, or --default NAME")
    changes = changes_of({"url": url or None, **options})
    with opened(ctx) as mirror:
        if default:
            changes |= {"name": name} if name else {}
            new = mirror.sources.from_default(default, changes)
        else:
            new = changed(BootSource(name=name, url=url), changes)
        stored = mirror.sources.add(new, by=operator())
    if as_json:
        print_json(stored)
    print_note(f"added {stored.name}; next: mirror select add 'release~(jammy|noble)' arch=amd64")


@app.command("set")
@spread
def set_(
    ctx: typer.Context,
    name: str,
    url: Annotated[str | None, typer.Option(help="The base of the stream, or its index.")] = None,
    *,
    as_json: AsJson = False,
    **options: Unpack[SourceOptions],
) -> None:
    """Change a boot source: what is given; an empty value ('') takes one away."""
    changes = changes_of({"url": url, **options})
    if not changes:
        raise typer.BadParameter("say what to change")
    with opened(ctx) as mirror:
        before = mirror.sources.get(name)
        after = mirror.sources.update(name, changes, by=operator())
    if as_json:
        print_json(after)
    else:
        _print_fields(after, only=_differences(before, after))
    if before.url != after.url:
        print_note(
            "what was seen of this source stays remembered: if the new URL is of another stream, "
            "whose index is older, accept it once with `mirror sync --accept-rollback`"
        )


@app.command()
def enable(ctx: typer.Context, name: str) -> None:
    """Read a boot source again from the next sync on."""
    with opened(ctx) as mirror:
        mirror.sources.update(name, {"enabled": True}, by=operator())


@app.command()
def disable(ctx: typer.Context, name: str) -> None:
    """Leave a boot source out; products that another one offers come from there."""
    with opened(ctx) as mirror:
        mirror.sources.update(name, {"enabled": False}, by=operator())


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the boot sources, and how each was when it was last read."""
    with opened(ctx) as mirror:
        sources = mirror.sources.list()
        states = mirror.sources.states()
    if as_json:
        print_json([_with_status(each, states[each.name]) for each in sources])
        return
    print_table(
        ("NAME", "PRIORITY", "TRUST", "STATE", "UPDATED", "URL"),
        [
            (
                each.name,
                str(each.priority),
                each.trust,
                states[each.name].state,
                _when(states[each.name].updated),
                each.url + (f" (+{len(each.fallback_urls)})" if each.fallback_urls else ""),
            )
            for each in sources
        ],
    )


@app.command()
def show(ctx: typer.Context, name: str, as_json: AsJson = False) -> None:
    """Show one boot source, and how it was when it was last read."""
    with opened(ctx) as mirror:
        source, status = mirror.sources.get(name), mirror.sources.state(name)
    if as_json:
        print_json(_with_status(source, status))
        return
    _print_fields(source)
    print_line()
    _print_status(status)


@app.command()
@spread
def check(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="The name of a boot source, or a URL to try.")],
    *,
    as_json: AsJson = False,
    **options: Unpack[StreamOptions],
) -> None:
    """Read a stream and say what it has and who signed it; nothing is stored.

    For a URL without a keyring, any key will do that the mirror knows.
    """
    changes = changes_of(options)
    with opened(ctx) as mirror:
        report = run(mirror.sources.check(_to_check(mirror, source, changes)))
    if as_json:
        print_json(report)
    else:
        _print_report(report)


@app.command()
def defaults(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the boot sources that plugins suggest."""
    with opened(ctx) as mirror:
        found = mirror.sources.defaults()
    if as_json:
        print_json(found)
        return
    print_table(
        ("NAME", "TITLE", "URL", "KEYRING"),
        [
            (
                each.name,
                each.title,
                each.url,
                each.keyring + ("" if Path(each.keyring).is_file() else " (not on this machine)"),
            )
            for each in found
        ],
    )
    print_note("add one with: mirror source add --default NAME")


@app.command()
def remove(ctx: typer.Context, name: str) -> None:
    """Remove a boot source; its images leave with the next sync."""
    with opened(ctx) as mirror:
        mirror.sources.remove(name, by=operator())


def _to_check(mirror: Mirror, source: str, changes: dict[str, Any]) -> BootSource:
    from mirror.service.source_rules import changed

    if "://" not in source:
        return changed(mirror.sources.get(source), changes)
    return mirror.sources.to_try(source, changes)


# --- how things are shown -------------------------------------------------------------------------


def _with_status(source: BootSource, status: SourceStatus) -> dict[str, Any]:
    import msgspec

    return {**msgspec.structs.asdict(source), "status": status}


def _differences(before: BootSource, after: BootSource) -> set[str]:
    return {f for f in after.__struct_fields__ if getattr(before, f) != getattr(after, f)}


def _print_fields(source: BootSource, only: set[str] | None = None) -> None:
    for field in source.__struct_fields__:
        if only is None or field in only:
            value = getattr(source, field)
            if isinstance(value, tuple):
                value = " ".join(value)
            elif field == "keyring_data" and value:
                value = f"({len(value)} characters of keys)"
            print_line(f"{field}: {value}")


def _print_status(status: SourceStatus) -> None:
    print_line(f"state: {status.state}")
    if status.checked is None:
        return
    print_line(f"last read: {_when(status.checked)}")
    if status.believed:
        print_line(f"stream of: {_when(status.updated)}, at {status.url}")
        print_line(f"signed by: {status.fingerprint or 'nobody'}")
        print_line(f"products: {status.products}")
    for problem in (*status.passed_over, *([status.problem] if status.problem else [])):
        print_line(f"problem: {problem.what} [{problem.code}]\n  {problem.remedy}")
    if status.failing_since:
        print_line(f"failing since: {_when(status.failing_since)}")


def _print_report(report: SourceReport) -> None:
    for address in report.addresses:
        if address.problem:
            print_line(f"{address.url}  {address.problem.what} [{address.problem.code}]")
        else:
            print_line(f"{address.url}  good, of {_when(address.updated)}")
    who = f"{report.fingerprint} ({report.signer})" if report.fingerprint else "nobody"
    print_line(f"signed by {who}")
    print_line(f"{report.products} products; {report.rejected} versions break a rule")
    print_table(
        ("OS", "RELEASE", "ARCHES", "LABELS", "PRODUCTS", "TITLE"),
        [
            (
                each.os,
                each.release or "-",
                " ".join(each.arches),
                " ".join(each.labels),
                str(each.products),
                each.title,
            )
            for each in report.offered
        ],
    )


def _when(at: Any) -> str:  # noqa: ANN401  (a datetime, imported by nobody for a listing)
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "-"
