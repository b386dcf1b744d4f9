"""Look at everything, side by side, and never for long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from mirror.doctor.commands import base_url, commands
from mirror.doctor.generations import METADATA, generations
from mirror.doctor.local import local_checks, space_check
from mirror.doctor.network import bytes_to_fetch, clock_check, source_checks
from mirror.doctor.report import Check, Generation, Report, State, failed, problem, warning
from mirror.doctor.served import local_url, served_checks
from mirror.errors import MirrorError

if TYPE_CHECKING:
    from mirror.service import Mirror

_ORDER = {State.PROBLEM: 0, State.WARNING: 1, State.OK: 2}


async def examine(mirror: Mirror, *, url: str = "", channel: str = "") -> Report:
    """Return what is well and what is not, and what a MAAS of each generation would see.

    `url` is where clients reach the server (none: on this machine, by the settings); `channel` is
    the one to look at (none: the one that syncs publish to, or else the first). Raises `NotFound`
    for a channel that is not there.
    """
    chosen = await asyncio.to_thread(_channel, mirror, channel)
    server = url or local_url(mirror.settings.server)
    local, sources, to_fetch, served, seen = await asyncio.gather(
        asyncio.to_thread(local_checks, mirror),
        source_checks(mirror),
        bytes_to_fetch(mirror),
        served_checks(mirror, server, chosen, asked=bool(url)),
        asyncio.to_thread(_maas, mirror, chosen, server),
    )
    space = await asyncio.to_thread(space_check, mirror, to_fetch)
    maas, maas_checks = seen
    checks = [*local, space, *sources, *clock_check(sources), *served, *maas_checks]
    return Report(tuple(sorted(checks, key=lambda c: _ORDER[c.state])), chosen, tuple(maas))


def not_opened(error: MirrorError) -> Report:
    """Return the report on a data directory that can't even be opened."""
    return Report((failed("data directory", error),))


def _channel(mirror: Mirror, wanted: str) -> str:
    if wanted:
        mirror.channels.current(wanted)
        return wanted
    names = sorted(mirror.channels.pointers())
    usual = mirror.settings.sync.channel
    return usual if usual in names else next(iter(names), "")


def _maas(mirror: Mirror, channel: str, server: str) -> tuple[list[Generation], list[Check]]:
    if not channel:
        return [], []
    closed = mirror.settings.server.reading == "token"
    try:
        files = _stream(mirror, channel)
    except (MirrorError, OSError) as error:
        return [], [problem("maas", f"the stream can't be read: {error}", "mirror verify --repair")]
    found = [
        msgspec.structs.replace(each, commands=commands(each, server, closed=closed))
        for each in generations(files, base_url(server, channel, closed=closed))
    ]
    return found, [check for each in found for check in _judge(each)]


def _stream(mirror: Mirror, channel: str) -> dict[str, bytes]:
    snapshot = mirror.store.snapshots.load(mirror.channels.current(channel))
    return {
        path: mirror.store.blobs.path(ref.sha256).read_bytes()
        for path, ref in snapshot.files.items()
        if path.startswith(METADATA) and path.endswith(".json")
    }


def _judge(seen: Generation) -> list[Check]:
    name = f"MAAS {seen.maas}"
    if seen.fails:
        what = f"its import would fail: {seen.fails[0]}"
        return [problem(name, what, "Leave that product out, and tell its publisher.")]
    if not seen.offered:
        return [problem(name, "it would offer no image", "Select one: `mirror select add --help`.")]
    checks = []
    if not any(arch.commissioning for arch in seen.arches):
        what = "no image boots a machine for commissioning (an Ubuntu with kernel and initrd)"
        checks.append(warning(name, what, "Select an Ubuntu LTS: `mirror select add --help`."))
    for arch in seen.arches:
        if arch.missing_bootloaders:
            what = f"{arch.arch}: no bootloader {' and no '.join(arch.missing_bootloaders)}"
            remedy = "Select with bootloaders, unless MAAS has them from another boot source."
            checks.append(warning(name, what, remedy))
    return checks
