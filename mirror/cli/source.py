"""`mirror source`: where images come from."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirror.cli.context import AsJson, opened, operator, run
from mirror.cli.output import print_json, print_line, print_note, print_table

if TYPE_CHECKING:
    from mirror.model import BootSource, SourceStatus
    from mirror.service import Mirror
    from mirror.service.source_report import SourceReport

app = typer.Typer(help="Boot sources: where images come from.", no_args_is_help=True)

# What is not given stays as it is (`set`), or as the default of a boot source has it (`add`).
FallbackUrl = Annotated[
    list[str] | None,
    typer.Option(help="A copy of the same stream, asked when the URL fails; repeatable."),
]
Keyring = Annotated[str | None, typer.Option(help="File of OpenPGP public keys.")]
KeyringData = Annotated[
    str | None, typer.Option(help="The keys themselves, armored or base64; `-` reads them.")
]
Fingerprint = Annotated[
    list[str] | None,
    typer.Option(
        help="Trust only this key; without a keyring, one that is known here; repeatable."
    ),
]
Trust = Annotated[str | None, typer.Option(help="`signed`, or `none` for an unsigned source.")]
Priority = Annotated[int | None, typer.Option(help="The higher one wins a product.")]
Proxy = Annotated[str | None, typer.Option(help="HTTP proxy, as http://HOST:PORT.")]
ProxyUsername = Annotated[str | None, typer.Option(help="For the proxy.")]
ProxyPasswordFile = Annotated[str | None, typer.Option(help="File with the proxy's password.")]
NoProxy = Annotated[
    str | None, typer.Option(help="Hosts, domains and networks to reach without the proxy.")
]
CaFile = Annotated[str | None, typer.Option(help="CA certificates (PEM) to trust besides.")]
Username = Annotated[str | None, typer.Option(help="For basic authentication.")]
PasswordFile = Annotated[str | None, typer.Option(help="File with the password.")]
Bandwidth = Annotated[int | None, typer.Option(help="Bytes per second; 0: no limit.", min=0)]
MaxStaleness = Annotated[
    float | None, typer.Option(help="Days after which an index is refused; 0: never.", min=0)
]


@app.command()
def add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A short name.")] = "",
    url: Annotated[str, typer.Argument(help="The base of the stream, or its index file.")] = "",
    default: Annotated[
        str, typer.Option(help="One that a plugin suggests (`mirror source defaults`).")
    ] = "",
    fallback_url: FallbackUrl = None,
    keyring: Keyring = None,
    keyring_data: KeyringData = None,
    fingerprint: Fingerprint = None,
    trust: Trust = None,
    priority: Priority = None,
    proxy: Proxy = None,
    proxy_username: ProxyUsername = None,
    proxy_password_file: ProxyPasswordFile = None,
    no_proxy: NoProxy = None,
    ca_file: CaFile = None,
    username: Username = None,
    password_file: PasswordFile = None,
    bandwidth: Bandwidth = None,
    max_staleness: MaxStaleness = None,
    as_json: AsJson = False,
) -> None:
    """Add a boot source."""
    from mirror.model import BootSource
    from mirror.service.source_rules import changed

    if not default and not (name and url):
        raise typer.BadParameter("give a NAME and a URL, or --default NAME")
    changes = _changes({**locals(), "url": url or None})
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
def set_(
    ctx: typer.Context,
    name: str,
    url: Annotated[str | None, typer.Option(help="The base of the stream, or its index.")] = None,
    fallback_url: FallbackUrl = None,
    keyring: Keyring = None,
    keyring_data: KeyringData = None,
    fingerprint: Fingerprint = None,
    trust: Trust = None,
    priority: Priority = None,
    proxy: Proxy = None,
    proxy_username: ProxyUsername = None,
    proxy_password_file: ProxyPasswordFile = None,
    no_proxy: NoProxy = None,
    ca_file: CaFile = None,
    username: Username = None,
    password_file: PasswordFile = None,
    bandwidth: Bandwidth = None,
    max_staleness: MaxStaleness = None,
    as_json: AsJson = False,
) -> None:
    """Change a boot source: what is given; an empty value ('') takes one away."""
    changes = _changes(locals())
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
def check(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="The name of a boot source, or a URL to try.")],
    fallback_url: FallbackUrl = None,
    keyring: Keyring = None,
    keyring_data: KeyringData = None,
    fingerprint: Fingerprint = None,
    trust: Trust = None,
    proxy: Proxy = None,
    proxy_username: ProxyUsername = None,
    proxy_password_file: ProxyPasswordFile = None,
    no_proxy: NoProxy = None,
    ca_file: CaFile = None,
    username: Username = None,
    password_file: PasswordFile = None,
    max_staleness: MaxStaleness = None,
    as_json: AsJson = False,
) -> None:
    """Read a stream and say what it has and who signed it; nothing is stored.

    For a URL without a keyring, any key will do that the mirror knows.
    """
    changes = _changes({k: v for k, v in locals().items() if k != "source"})
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


# --- what the options say -------------------------------------------------------------------------

_AS_GIVEN = [
    "url",
    "trust",
    "priority",
    "proxy",
    "proxy_username",
    "no_proxy",
    "username",
    "bandwidth",
    "max_staleness",
]
_FILES = ("keyring", "ca_file", "password_file", "proxy_password_file")
_LISTS = {"fallback_url": "fallback_urls", "fingerprint": "fingerprints"}


def _changes(options: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that the options of a command name, as `Sources.update` takes them."""
    given = {name: value for name, value in options.items() if value is not None}
    changes = {name: given[name] for name in _AS_GIVEN if name in given}
    if "max_staleness" in changes:
        changes["max_staleness"] = timedelta(days=changes["max_staleness"])
    for name in _FILES:
        if name in given:
            file = str(given[name])
            changes[name] = str(Path(file).expanduser().absolute()) if file else ""
    for option, field in _LISTS.items():
        if option in given:
            changes[field] = [value for value in given[option] if value]
    if "keyring_data" in given:
        data = given["keyring_data"]
        changes["keyring_data"] = sys.stdin.read() if data == "-" else data
        changes.setdefault("keyring", "")
    elif changes.get("keyring"):
        changes["keyring_data"] = ""
    return changes


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
