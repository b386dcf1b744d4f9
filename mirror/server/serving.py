"""Serve a data directory in this process, on sockets that are given."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from mirror.errors import MirrorError
from mirror.server.access import Access
from mirror.server.app import build_app, make_runner
from mirror.server.blobs import OpenBlobs
from mirror.server.content import Content
from mirror.server.gate import Gate
from mirror.server.lazy import LazyMirror
from mirror.server.licences import Downloads
from mirror.server.listen import bind_all, url_of
from mirror.server.meter import Board
from mirror.server.metrics import Metrics, add_metrics
from mirror.server.pinned import PinnedTrees
from mirror.server.published import load_tree
from mirror.server.readiness import Readiness, disk_warnings, readiness, state_warnings
from mirror.server.tls import tls_of
from mirror.server.watch import INTERVAL, Watch
from mirror.signing.key import SigningKey
from mirror.store.pulls import Pulls
from mirror.store.store import Store

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping, Sequence

    from mirror.server.app import Answer
    from mirror.server.listen import Sockets
    from mirror.server.options import ServerOptions
    from mirror.server.tls import Tls

BACKLOG = 1024
DRAIN_POLL = 0.05
STATE_INTERVAL = 30.0
_access_log = logging.getLogger("mirror.access")
_log = logging.getLogger(__name__)


@asynccontextmanager
async def running_server(options: ServerOptions) -> AsyncIterator[str]:
    """Serve in this process, `options.workers` or not, and yield the base URL.

    For tests, the demo and other programs; `supervisor.run_server` is for a machine's main job.
    """
    [sockets] = bind_all(options, 1)
    async with serving(options, sockets):
        yield url_of(sockets.content[0], options)


@asynccontextmanager
async def serving(
    options: ServerOptions, sockets: Sockets, board: Board | None = None, part: int = 0
) -> AsyncIterator[None]:
    """Serve on these sockets until the block ends, then drain. The sockets end up closed.

    What is counted goes to a part of the board; with none, to one of our own.

    No connection is accepted before the channels are loaded: a client waits a moment instead of
    being told that a file is not there. Raises what `Store.open` raises, and TlsInvalid.
    """
    store = await asyncio.to_thread(Store.open, Path(options.data_dir))
    server = _Server(
        options, store, await asyncio.to_thread(tls_of, options), board or Board.create(1), part
    )
    await server.refresh()
    runners = await server.make_runners(await asyncio.to_thread(server.public_keys))
    watching = asyncio.create_task(server.watch())
    beating = asyncio.create_task(server.beat())
    looking = asyncio.create_task(server.watch_state())
    try:
        for runner, own in zip(runners, sockets, strict=False):
            for sock in own:
                site = web.SockSite(runner, sock, backlog=BACKLOG, ssl_context=server.ssl_context)
                await site.start()
        yield
    finally:
        watching.cancel()
        server.content.draining = True
        await _drain(runners, server.content, options.drain.total_seconds())
        beating.cancel()
        looking.cancel()
        await asyncio.gather(watching, looking, beating, return_exceptions=True)
        await server.close()


async def _drain(runners: Sequence[web.AppRunner], content: Content, seconds: float) -> None:
    """Stop accepting, let running transfers end, and cut those that take longer."""
    for site in [site for runner in runners for site in runner.sites]:
        await site.stop()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    # not aiohttp's own waiting: a connection that was accepted a moment ago may wait in vain there;
    # and no event: every request would pay for it, and this is once in a life
    while content.busy and loop.time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(DRAIN_POLL)
    if content.busy:
        _log.warning("%d transfers ran for more than %g s; they were cut", content.busy, seconds)
    for runner in runners:
        await runner.cleanup()


class _Server:
    """What the parts of one serving process share."""

    def __init__(
        self, options: ServerOptions, store: Store, tls: Tls | None, board: Board, part: int
    ) -> None:
        self._options = options
        self._meter = board.meter(part)
        self._meter.start()
        self._tls = tls
        self._store = store
        self._watch = Watch(store, options.grace)
        self._disk: tuple[str, ...] = ()
        self._state: tuple[str, ...] = ()
        self._asked = asyncio.Event()
        self._pulls = Pulls(self._store.dir.pulls)
        self._pinned = PinnedTrees(lambda snapshot_id: load_tree(store, snapshot_id))
        self.blobs = OpenBlobs(store.blobs.path)
        self.mirror = LazyMirror(options)
        self._access = Access(lambda: self.mirror.get().tokens)
        self._downloads = Downloads(lambda: self.mirror.get().audit)
        self.content = Content(
            self.blobs,
            self._pinned,
            self._access,
            self._downloads,
            needed=store.restricted.needed,
        )
        self._metrics = Metrics(board, self.mirror.get)

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """What the listeners speak TLS with; None for plain HTTP."""
        return self._tls.context if self._tls else None

    async def make_runners(self, keys: Mapping[str, bytes]) -> list[web.AppRunner]:
        """Return the runner of the content, and that of the admin side if it is apart."""
        gate = Gate(self.content, self._access, keys)
        closed = self._options.reading == "token"
        first = (gate.answer if closed else self.content.answer, gate.at_token_path)
        app = build_app(self.readiness, keys)
        if self._options.admin_port is None:
            self._add_admin(app)
            return [await self._make_runner(app, first)]
        admin = build_app(self.readiness, keys)
        self._add_admin(admin)
        return [await self._make_runner(app, first), await self._make_runner(admin, ())]

    def _add_admin(self, app: web.Application) -> None:
        """Add what is for operators to the listener that is for them: the API, the metrics."""
        options = self._options
        open_to_all = options.admin_port is not None or options.metrics == "open"
        add_metrics(app, self._metrics, needs_token=not open_to_all)
        from mirror.server.api import make_api

        app.add_subapp("/api/v1", make_api(self.mirror, self.readiness))

    async def _make_runner(self, app: web.Application, first: Sequence[Answer]) -> web.AppRunner:
        return await make_runner(
            app,
            self.content,
            self._access,
            self._meter,
            first=first,
            access_log=_access_log if self._options.access_log else None,
        )

    async def close(self) -> None:
        """Close what is open."""
        self._access.close()
        self._downloads.close()
        self.blobs.clear()
        await asyncio.to_thread(self.mirror.close)

    async def refresh(self) -> None:
        """Take in what has changed on disk."""
        before = self.content.published
        pulled = self.content.take_pulled()
        if pulled:
            await asyncio.to_thread(self._pulls.note, pulled)
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
        if self._tls is not None:
            await asyncio.to_thread(self._tls.refresh)

    async def watch(self) -> None:
        """Refresh for ever; a failure is said, and does not end it."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.refresh()
            except Exception:  # noqa: BLE001 - whatever it is, go on serving what we have
                _log.exception("could not look for new snapshots; trying again")

    async def watch_state(self) -> None:
        """Look now and then at what only the catalogue knows, if anyone asks how we are.

        A server whose images alone are read does not even open the catalogue.
        """
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                self._state = await asyncio.to_thread(lambda: state_warnings(self.mirror.get()))
            except MirrorError as error:
                if not self._state:
                    _log.error("the state of the mirror can't be read: %s", error)
                self._state = ("catalogue_unreadable",)
            await asyncio.sleep(STATE_INTERVAL)

    async def beat(self) -> None:
        """Show for ever that the event loop turns."""
        while True:
            self._meter.beat()
            await asyncio.sleep(INTERVAL)

    def readiness(self) -> Readiness:
        """Say whether clients should be sent here."""
        self._asked.set()  # what the catalogue says is in the next answer
        content = self.content
        renewal = ("certificate_not_renewed",) if self._tls and self._tls.problem else ()
        warnings = (*self._disk, *renewal, *self._state)
        return readiness(content.published, draining=content.draining, disk=warnings)

    def public_keys(self) -> dict[str, bytes]:
        """Return the mirror's public key by the file name it is served under. Blocks."""
        key = SigningKey.open(self._store.dir.gnupg)
        return {"mirror.gpg": key.public_binary(), "mirror.asc": key.public_armored()}
