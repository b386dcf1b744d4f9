"""Checks of the whole: a mirror that runs takes the sample from a boot source and serves it."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirror.errors import Cancelled
from mirror.model import JobState
from mirror.sync.events import FileDone, Planned
from mirror.sync.run import SyncOptions
from mirror.testing.bad_upstream import BadUpstream, stall
from mirror.testing.conformance.specimen import Wrong, must, names, plugin_settings
from mirror.testing.conformance.streams import objections_to
from mirror.testing.running import running_mirror
from mirror.testing.serve import serve_in_thread
from mirror.testing.sstream import mirrored_files, sstream_mirror

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.sync.events import Event
    from mirror.testing.conformance.specimen import Specimen
    from mirror.testing.running import RunningMirror

_PATIENCE = 20.0
"""Seconds that a sync may take to end once it was cancelled."""


class SyncingChecks:
    """What becomes of it in a mirror."""

    def test_a_sync_publishes_the_sample(
        self, specimen: Specimen, specimen_mirror: RunningMirror
    ) -> None:
        """A sync must publish every version of the sample: none may be left out."""
        wanted = {(p.name, version.name) for p in specimen.products for version in p.versions}
        missing = wanted - specimen_mirror.versions()
        problems = "; ".join(_left_out(specimen_mirror))
        must(not missing, f"not published: {names(map(' '.join, sorted(missing)))}: {problems}")

    def test_its_stream_passes_every_maas(self, specimen_mirror: RunningMirror) -> None:
        """The stream that is served must be one that every generation of MAAS takes as a whole."""
        said = objections_to(specimen_mirror.documents())
        must(not said, said)

    def test_sstream_mirror_takes_it(self, specimen_mirror: RunningMirror, tmp_path: Path) -> None:
        """The reference client must mirror every file, with the mirror's signature checked."""
        url, keyring = specimen_mirror.channel_url(), specimen_mirror.keyring
        index = "streams/v1/index-all.sjson"
        try:
            outcome = sstream_mirror(url, tmp_path / "out", keyring=keyring, path=index)
        except FileNotFoundError as missing:
            pytest.skip(str(missing))
        must(outcome.status == 0, f"sstream-mirror fails: {outcome.errors[-2000:]}")
        got, published = mirrored_files(tmp_path / "out"), specimen_mirror.published()
        different = [
            path for path in published.keys() | got if got.get(path) != published.get(path)
        ]
        must(not different, f"sstream-mirror has not what was published: {names(different)}")

    def test_a_second_sync_changes_nothing(
        self, specimen: Specimen, specimen_mirror: RunningMirror
    ) -> None:
        """Syncing again must neither fetch nor publish: what is chosen and derived is stable."""
        specimen_mirror.sync()
        before = specimen_mirror.mirror.snapshots.resolve("stable")
        again = specimen_mirror.sync()
        must(again.status == "unchanged" and not again.to_fetch, f"the second sync: {again}")
        upstream = specimen.upstream
        upstream.set_updated(upstream.updated + timedelta(minutes=1))
        upstream.write()  # the same once more, with a new date: all of it is read and planned again
        again = specimen_mirror.sync()
        must(
            again.snapshot == before and not again.to_fetch,
            f"a sync that reads all again publishes something else: {again}",
        )

    def test_a_sync_can_be_cancelled(self, specimen: Specimen, tmp_path: Path) -> None:
        """A sync that is cancelled, under way anywhere, must publish nothing; the next one, all."""
        upstream = BadUpstream(specimen.upstream.root)
        settings = {**plugin_settings(specimen.sample), "sync": {"stall_timeout": "60 s"}}
        with (
            running_mirror(tmp_path / "mirror", settings) as mirror,
            upstream.serve_in_thread() as url,
        ):
            mirror.add_source(specimen.upstream, url)
            mirror.select()
            upstream.on(_a_file(specimen), stall(after=10), times=None)
            _cancel(mirror, when_stalled=True)
            upstream.behave()
            _cancel(mirror, when_stalled=False)
            result = mirror.sync()
            must(result.status == "published", f"after two that were cancelled: {result}")
            must(not result.left_out, f"after two that were cancelled: {result.left_out}")


@contextmanager
def mirrored(specimen: Specimen, folder: Path) -> Iterator[RunningMirror]:
    """Run a mirror below `folder` that has taken the sample from a boot source."""
    settings = plugin_settings(specimen.sample)
    with (
        serve_in_thread(specimen.upstream.root) as url,
        running_mirror(folder / "mirror", settings) as mirror,
    ):
        mirror.add_source(specimen.upstream, url)
        mirror.select()
        mirror.sync()
        yield mirror


def _left_out(mirror: RunningMirror) -> list[str]:
    result = mirror.sync(SyncOptions(dry_run=True))
    return [f"{each.about}: {each.what}" for each in result.left_out]


def _a_file(specimen: Specimen) -> str:
    [(product, version), *_] = specimen.newest()
    return max(specimen.chosen(product, version), key=lambda item: item.size).path


def _cancel(mirror: RunningMirror, *, when_stalled: bool) -> None:
    """Start a sync, cancel it under way, and look at what is left of it.

    It is cancelled while a file stalls, or when all are here and the plugin's process has started.
    """
    before = _children()
    try:
        cancelled = asyncio.run(_cancelled(mirror, before, when_stalled=when_stalled))
    except TimeoutError:
        raise Wrong(f"a sync goes on for more than {_PATIENCE:g} s after its end") from None
    if not cancelled:
        must(not when_stalled, "a sync of which a file never comes has ended by itself")
        return
    [job] = mirror.mirror.jobs.list(limit=1)
    must(job.state is JobState.CANCELLED, f"the job is {job.state}, not cancelled: {job.error}")
    published = mirror.mirror.store.channels.current("stable")
    must(not published, f"a sync that was cancelled has published {published}")
    left = _left(mirror, before)
    must(not left, f"a sync that was cancelled has left processes: {left}")


def _left(mirror: RunningMirror, before: set[int]) -> set[int]:
    """Return the processes that a sync left; one that tells the plugin of its end is none."""
    patience = _PATIENCE if any(mirror.mirror.plugins.listeners.values()) else 0
    deadline = time.monotonic() + patience
    while (left := _children() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


async def _cancelled(mirror: RunningMirror, before: set[int], *, when_stalled: bool) -> bool:
    """Cancel a sync under way; return whether that was what ended it."""
    events: list[Event] = []

    def is_time() -> bool:
        to_come = _files_to_come(events)
        return to_come == 1 if when_stalled else to_come == 0 and bool(_children() - before)

    sync = asyncio.create_task(mirror.mirror.syncs.run(SyncOptions(), events.append))
    while not (sync.done() or is_time()):  # noqa: ASYNC110  (nobody sets an event: this looks)
        await asyncio.sleep(0.01)
    sync.cancel()
    async with asyncio.timeout(_PATIENCE):
        with suppress(asyncio.CancelledError, Cancelled):
            await sync
            return False
    return True


def _files_to_come(events: list[Event]) -> int:
    """Return how many files are still to be fetched; -1 while nobody knows."""
    planned = sum(each.files for each in events if isinstance(each, Planned))
    done = sum(isinstance(each, FileDone) for each in events)
    return planned - done if planned else -1


def _children() -> set[int]:
    """Return the processes that this one has started and that have not ended."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it may end while we look
            # what stands before the last parenthesis is its name, which may hold anything
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                found.add(int(process.name))
    return found
