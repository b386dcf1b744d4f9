"""Serve a data directory in this process, on sockets that are given."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from mirror.server.app import build_app, make_runner
from mirror.server.blobs import OpenBlobs
from mirror.server.content import Content
from mirror.server.listen import bind_all, url_of
from mirror.server.pinned import PinnedTrees
from mirror.server.published import load_tree
from mirror.server.readiness import Readiness, disk_warnings, readiness
from mirror.server.watch import INTERVAL, Watch
from mirror.signing.key import SigningKey
from mirror.store.store import Store

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Sequence

    from mirror.server.options import ServerOptions

BACKLOG = 1024
DRAIN_POLL = 0.05
_access_log = logging.getLogger("mirror.access")
_log = logging.getLogger(__name__)


@asynccontextmanager
async def running_server(options: ServerOptions) -> AsyncIterator[str]:
    """Serve in this process, `options.workers` or not, and yield the base URL.

    For tests, the demo and other programs; `supervisor.run_server` is for a machine's main job.
    """
    [sockets] = bind_all(options, 1)
    async with serving(options, sockets):
        yield url_of(sockets[0])


@asynccontextmanager
async def serving(options: ServerOptions, sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
    """Serve on these sockets until the block ends, then drain. The sockets end up closed.

    No connection is accepted before the channels are loaded: a client waits a moment instead of
    being told that a file is not there. Raises what `Store.open` raises.
    """
    server = _Server(options, await asyncio.to_thread(Store.open, Path(options.data_dir)))
    await server.refresh()
    keys = await asyncio.to_thread(server.public_keys)
    runner = await make_runner(
        build_app(server.readiness, keys),
        server.content,
        access_log=_access_log if options.access_log else None,
    )
    watching = asyncio.create_task(server.watch())
    try:
        for sock in sockets:
            await web.SockSite(runner, sock, backlog=BACKLOG).start()
        yield
    finally:
        watching.cancel()
        server.content.draining = True
        await _drain(runner, server.content, options.drain.total_seconds())
        with suppress(asyncio.CancelledError):
            await watching
        server.blobs.clear()


async def _drain(runner: web.AppRunner, content: Content, seconds: float) -> None:
    """Stop accepting, let running transfers end, and cut those that take longer."""
    for site in list(runner.sites):
        await site.stop()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    # not aiohttp's own waiting: a connection that was accepted a moment ago may wait in vain there;
    # and no event: every request would pay for it, and this is once in a life
    while content.busy and loop.time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(DRAIN_POLL)
    if content.busy:
        _log.warning("%d transfers ran for more than %g s; they were cut", content.busy, seconds)
    await runner.cleanup()


class _Server:
    """What the parts of one serving process share."""

    def __init__(self, options: ServerOptions, store: Store) -> None:
        self._options = options
        self._store = store
        self._watch = Watch(store, options.grace)
        self._disk: tuple[str, ...] = ()
        self._pinned = PinnedTrees(lambda snapshot_id: load_tree(store, snapshot_id))
        self.blobs = OpenBlobs(store.blobs.path)
        self.content = Content(self.blobs, self._pinned)

    async def refresh(self) -> None:
        """Take in what has changed on disk."""
        before = self.content.published
        after = await asyncio.to_thread(self._watch.look, before)
        if after is not before:
            self.content.published = after
            self._pinned.keep_only(await asyncio.to_thread(self._store.snapshots.ids))
            # a tree is a large, unchanging graph: keep the collector from walking it
            gc.collect()
            gc.freeze()
        self._disk = await asyncio.to_thread(
            disk_warnings, self._store.dir.incoming, self._options.min_free
        )
        self.blobs.drop_stale()

    async def watch(self) -> None:
        """Refresh for ever; a failure is said, and does not end it."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.refresh()
            except Exception:  # noqa: BLE001 - whatever it is, go on serving what we have
                _log.exception("could not look for new snapshots; trying again")

    def readiness(self) -> Readiness:
        """Say whether clients should be sent here."""
        content = self.content
        return readiness(content.published, draining=content.draining, disk=self._disk)

    def public_keys(self) -> dict[str, bytes]:
        """Return the mirror's public key by the file name it is served under. Blocks."""
        key = SigningKey.open(self._store.dir.gnupg)
        return {"mirror.gpg": key.public_binary(), "mirror.asc": key.public_armored()}
