"""Serve a directory over HTTP, well behaved: Range, If-Range, ETag, 304, HEAD, 404.

The counterpart of `bad_upstream`, which is not. For tests and the demo: it serves everything below
the directory that is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from aiohttp.typedefs import Handler


@dataclass(frozen=True)
class Request:
    """A request that was answered: `path` begins with a slash, `headers` are the client's."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str] = field(repr=False)


@contextlib.asynccontextmanager
async def serve_directory(
    root: Path, log: list[Request] | None = None, *, port: int = 0
) -> AsyncIterator[str]:
    """Serve `root` on 127.0.0.1 for as long as the block runs; yield the URL, with no last slash.

    Every answered request is appended to `log`.
    """
    app = web.Application()

    async def note(request: web.Request, response: web.StreamResponse) -> None:
        if log is not None:
            log.append(Request(request.method, request.path, response.status, request.headers))

    app.on_response_prepare.append(note)
    app.router.add_get("/{path:.*}", _handler(root))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def serve_in_thread(
    root: Path, log: list[Request] | None = None, *, port: int = 0
) -> Iterator[str]:
    """Do the same from a thread of its own, for code that blocks."""
    with in_thread(serve_directory(root, log, port=port)) as url:
        yield url


@contextlib.contextmanager
def in_thread(serving: contextlib.AbstractAsyncContextManager[str]) -> Iterator[str]:
    """Enter an async server in a thread of its own; yield the URL that it yields.

    What keeps it from starting is raised here, and so is what goes wrong when it ends.
    """
    started: Future[str] = Future()
    ended: Future[None] = Future()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving as url:
            started.set_result(url)
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:  # noqa: BLE001  (raised in the thread that waits)
            (ended if started.done() else started).set_exception(error)
        else:
            ended.set_result(None)
        finally:
            _end_tasks(loop)
            loop.close()

    thread = threading.Thread(target=run, name="serve-directory", daemon=True)
    thread.start()
    url = started.result()
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
    ended.result()


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Let every task end that is still there: an answer that never comes, say."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


def _handler(root: Path) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        path = await asyncio.to_thread(_find, root, request.match_info["path"])
        if path is None:
            raise web.HTTPNotFound
        return web.FileResponse(path)

    return handle


def _find(root: Path, name: str) -> Path | None:
    root = root.resolve()
    try:
        path = (root / name).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError):
        return None
