"""An upstream that misbehaves on demand: a real HTTP server over a directory.

    upstream = BadUpstream(sample.root)
    upstream.on("*/squashfs", cut(after=1000), times=2)     # twice, then it behaves
    upstream.on("streams/*", serve_from(yesterday), times=None)  # for ever
    async with upstream.serve() as url:
        ...                                                 # sync from url, see what happens

Patterns are `fnmatch`'s, over the path without its first slash; of several faults whose pattern
matches, the one that was added first and has turns left is used. A fault is any coroutine function
from a request and the file that it asks for to a response, so that tests can bring their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import gzip
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from mirror.testing.serve import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    Fault = Callable[[web.Request, Path], Awaitable[web.StreamResponse]]

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class Asked:
    """A request that came: `path` begins with a slash, `headers` are the client's."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)


@dataclass
class _Plan:
    pattern: str
    fault: Fault
    left: int | None


class BadUpstream:
    """Serves `root`, with faults. `requests` are those that came so far, in order."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.requests: list[Asked] = []
        self._plans: list[_Plan] = []

    def on(self, pattern: str, fault: Fault, *, times: int | None = 1) -> None:
        """Answer the next `times` requests (None: all) for paths like `pattern` with `fault`."""
        self._plans.append(_Plan(pattern, fault, times))

    def behave(self) -> None:
        """Forget every fault."""
        self._plans.clear()

    def paths(self) -> list[str]:
        """Return the paths that were asked for, each with its first slash."""
        return [request.path for request in self.requests]

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve on 127.0.0.1 while the block runs; yield the URL, with no last slash."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    @contextlib.contextmanager
    def serve_in_thread(self) -> Iterator[str]:
        """Do the same from a thread of its own, for code that blocks."""
        with in_thread(self.serve()) as url:
            yield url

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.requests.append(Asked(request.method, request.path, request.headers))
        fault = self._fault(path) or behaved
        return await fault(request, self.root / path)

    def _fault(self, path: str) -> Fault | None:
        for plan in self._plans:
            if plan.left != 0 and fnmatch.fnmatch(path, plan.pattern):
                if plan.left is not None:
                    plan.left -= 1
                return plan.fault
        return None


async def behaved(_request: web.Request, file: Path) -> web.StreamResponse:
    """Answer as a good server does."""
    if not await asyncio.to_thread(file.is_file):
        raise web.HTTPNotFound
    return web.FileResponse(file)


def stall(*, after: int | None = None) -> Fault:
    """Fall silent: after `after` bytes of the body, or without an answer at all."""

    async def fault(request: web.Request, file: Path) -> web.StreamResponse:
        if after is not None:
            response, body = await _begin(request, file)
            await response.write(body[:after])
        await asyncio.sleep(3600)
        raise web.HTTPGatewayTimeout

    return fault


def cut(*, after: int | None = None) -> Fault:
    """Close the connection: after `after` bytes of the body, or without an answer at all."""

    async def fault(request: web.Request, file: Path) -> web.StreamResponse:
        response = web.StreamResponse()
        if after is not None:
            response, body = await _begin(request, file)
            await response.write(body[:after])
        _hang_up(request)
        return response

    return fault


def claim_length(extra: int) -> Fault:
    """Say a Content-Length that is `extra` bytes too long (negative: too short); ignore Range."""

    async def fault(request: web.Request, file: Path) -> web.StreamResponse:
        body = await asyncio.to_thread(file.read_bytes)
        response = web.StreamResponse(headers={"Content-Length": str(len(body) + extra)})
        await response.prepare(request)
        await response.write(body)
        if extra > 0:
            _hang_up(request)
        return response

    return fault


def flip_byte(at: int = 0) -> Fault:
    """Send the right number of bytes, of which the one at `at` of the answer is wrong."""

    async def fault(request: web.Request, file: Path) -> web.StreamResponse:
        response, body = await _begin(request, file)
        await response.write(body[:at] + bytes([body[at] ^ 0xFF]) + body[at + 1 :])
        return response

    return fault


def ignore_range(*, after: int | None = None) -> Fault:
    """Send the file from its start whatever is asked for; close after `after` bytes, if given."""

    async def fault(request: web.Request, file: Path) -> web.StreamResponse:
        response, body = await _begin(request, file, ranges=False)
        await response.write(body[:after])
        if after is not None:
            _hang_up(request)
        return response

    return fault


def status(code: int, *, retry_after: str = "") -> Fault:
    """Answer with an error of this status, and a Retry-After header if given."""

    async def fault(_request: web.Request, _file: Path) -> web.StreamResponse:
        headers = {"Retry-After": retry_after} if retry_after else {}
        return web.Response(status=code, headers=headers, text=f"error {code}\n")

    return fault


def redirect(to: str = "") -> Fault:
    """Redirect to the same path at another base URL, or (no `to`) to the very same address."""

    async def fault(request: web.Request, _file: Path) -> web.StreamResponse:
        raise web.HTTPFound(to.rstrip("/") + request.path if to else request.path)

    return fault


def serve_from(root: Path) -> Fault:
    """Answer from another directory: yesterday's metadata, say."""

    async def fault(request: web.Request, _file: Path) -> web.StreamResponse:
        return await behaved(request, root / request.match_info["path"])

    return fault


def web_page() -> Fault:
    """Answer 200 with a login page, as a captive portal does."""

    async def fault(_request: web.Request, _file: Path) -> web.StreamResponse:
        return web.Response(text="<!DOCTYPE html><h1>Please log in</h1>", content_type="text/html")

    return fault


def endless() -> Fault:
    """Send the file, and then go on for as long as anybody listens."""

    async def fault(request: web.Request, file: Path) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(await asyncio.to_thread(file.read_bytes))
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"more " * 10_000)
        return response

    return fault


def trickle(*, chunk: int = 1, every: float = 0.05) -> Fault:
    """Send `chunk` bytes every `every` seconds."""

    async def fault(request: web.Request, file: Path) -> web.StreamResponse:
        response, body = await _begin(request, file)
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(body), chunk):
                await response.write(body[start : start + chunk])
                await asyncio.sleep(every)
        return response

    return fault


def gzipped() -> Fault:
    """Send the file with Content-Encoding gzip, asked for or not."""

    async def fault(_request: web.Request, file: Path) -> web.StreamResponse:
        body = gzip.compress(await asyncio.to_thread(file.read_bytes))
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    return fault


def chunked() -> Fault:
    """Send the file whole and right, but without a Content-Length. Harmless."""

    async def fault(request: web.Request, file: Path) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        body = await asyncio.to_thread(file.read_bytes)
        for start in range(0, len(body), 1000):
            await response.write(body[start : start + 1000])
        return response

    return fault


async def _begin(
    request: web.Request, file: Path, *, ranges: bool = True
) -> tuple[web.StreamResponse, bytes]:
    """Send the headers of a right answer; return it, and the bytes that should follow."""
    if not await asyncio.to_thread(file.is_file):
        raise web.HTTPNotFound
    body = await asyncio.to_thread(file.read_bytes)
    mtime = (await asyncio.to_thread(file.stat)).st_mtime_ns
    response = web.StreamResponse(
        headers={"ETag": f'"{mtime:x}-{len(body):x}"', "Accept-Ranges": "bytes"}
    )
    asked = _RANGE.fullmatch(request.headers.get("Range", "")) if ranges else None
    if asked:
        start, stop = int(asked[1]), min(int(asked[2] or len(body) - 1) + 1, len(body))
        response.set_status(206)
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
        body = body[start:stop]
    response.content_length = len(body)
    await response.prepare(request)
    return response, body


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
