"""Checks over the network: the boot sources and their clocks, what the next sync would fetch."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from mirror.doctor.report import Check, State, failed, ok, problem, warning
from mirror.errors import Busy, MirrorError, Stalled

if TYPE_CHECKING:
    from mirror.model import BootSource
    from mirror.service import Mirror
    from mirror.sync.events import Event
    from mirror.sync.http import Http

PATIENCE = 4.0
"""Seconds that a boot source may take to answer with all of its metadata."""

SKEW = timedelta(minutes=2)
"""Clocks that differ by more make certificates and the age of streams doubtful."""


async def source_checks(mirror: Mirror) -> list[Check]:
    """Read every boot source side by side, each within `PATIENCE`."""
    sources = await asyncio.to_thread(mirror.sources.list)
    enabled = [source for source in sources if source.enabled]
    found = await asyncio.gather(*(_source(mirror, each) for each in enabled))
    checks = [check for each in found for check in each]
    if not enabled:
        checks.append(
            problem("sources", "there is no boot source to sync from", "mirror source add --help")
        )
    if enabled and not await asyncio.to_thread(mirror.selections.list):
        checks.append(warning("selections", "nothing is selected", "mirror select add --help"))
    return checks


async def _source(mirror: Mirror, source: BootSource) -> list[Check]:
    name = f"source {source.name}"
    try:
        knocks = await _knock(source)
    except MirrorError as error:
        return [failed(name, error)]
    answers = [base for base, answer in knocks.items() if isinstance(answer, datetime)]
    checks = [
        failed(name, answer, state=State.WARNING if answers else State.PROBLEM)
        for answer in knocks.values()
        if isinstance(answer, MirrorError)
    ]
    checks += _clocks(name, [each for each in knocks.values() if isinstance(each, datetime)])
    if isinstance(next(iter(knocks.values())), MirrorError):
        # a sync goes on to the copies, after some patience that we don't have
        return [*checks, *(ok(name, f"the copy at {base} answers") for base in answers)]
    return [*checks, *await _stream(mirror, source, name)]


async def _stream(mirror: Mirror, source: BootSource, name: str) -> list[Check]:
    """Read and verify the stream."""
    try:
        async with asyncio.timeout(PATIENCE):
            report = await mirror.sources.check(source)
    except TimeoutError:
        what = f"{source.name} did not answer with all of its metadata within {PATIENCE:g} s"
        return [warning(name, what, "A sync waits longer; is the way there slow?")]
    except MirrorError as error:
        return [failed(name, error)]
    what = f"{report.url}: {report.products} products, of {report.updated:%Y-%m-%d %H:%M} UTC, "
    if report.fingerprint:
        checks = [ok(name, f"{what}signed by {report.fingerprint}")]
    else:
        checks = [warning(name, f"{what}unsigned", "Use a signed stream, and --keyring.")]
    return checks + [
        warning(name, f"{address.url}: {address.problem.what}", address.problem.remedy)
        for address in report.addresses
        if address.problem
    ]


async def _knock(source: BootSource) -> dict[str, datetime | MirrorError]:
    """Return what time it is at each address of a source, or why it does not answer.

    One request each, whatever its status.
    """
    from mirror.sync.http import open_session

    async with open_session(source, connect=PATIENCE, stall=PATIENCE) as http:
        answers = await asyncio.gather(*(_date(http, base) for base in http.bases))
        return dict(zip(http.bases, answers, strict=True))


async def _date(http: Http, base: str) -> datetime | MirrorError:
    try:
        async with (
            asyncio.timeout(PATIENCE),
            http.get(base + "streams/v1/", ok=tuple(range(200, 600))) as response,
        ):
            return parsedate_to_datetime(response.headers.get("Date", ""))
    except TimeoutError:
        return Stalled(f"{base} did not answer within {PATIENCE:g} s")
    except MirrorError as error:
        return error
    except (ValueError, TypeError):  # it answers, without a time that can be read
        return datetime.now(UTC)


def _clocks(name: str, dates: list[datetime]) -> list[Check]:
    checks = []
    for ahead in (datetime.now(UTC) - date for date in dates):
        if abs(ahead) > SKEW:
            side = "ahead of" if ahead > timedelta() else "behind"
            what = f"our clock is {abs(ahead).total_seconds():.0f} s {side} that of {name}"
            remedy = "Set it, or let it be set (`timedatectl set-ntp true`)."
            checks.append(warning("clock", what, remedy))
    return checks


def clock_check(checks: list[Check]) -> list[Check]:
    """Say once that the clock is right, if a source was there to compare with."""
    asked = any(each.name.startswith("source ") and each.state is State.OK for each in checks)
    if asked and not any(each.name == "clock" for each in checks):
        return [ok("clock", f"within {SKEW.total_seconds():.0f} s of the sources' clocks")]
    return []


async def bytes_to_fetch(mirror: Mirror) -> int | None:
    """Return what the next sync would fetch; None where that can't be known quickly."""
    from mirror.sync.run import SyncOptions, Tools, run_sync

    options = SyncOptions(channel=mirror.settings.sync.channel, dry_run=True, wait=False)
    try:
        tools = await asyncio.to_thread(
            lambda: Tools(
                store=mirror.store,
                catalog=mirror.catalog,
                plugins=mirror.plugins,
                key=mirror.key,
                settings=mirror.settings,
            )
        )
        async with asyncio.timeout(PATIENCE):
            return (await run_sync(tools, options, _unsaid)).bytes_to_fetch
    except (TimeoutError, Busy, MirrorError):
        return None


def _unsaid(_: Event) -> None:
    """Say nothing: what matters is in the report."""
