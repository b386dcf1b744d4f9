"""What the worker processes count of their requests, in memory that they share.

The supervisor makes the board, and each worker inherits it and counts in a part of its own; whoever
is asked for /metrics adds the parts up. A worker that takes a dead one's place goes on in its part:
no count is lost, and nothing grows. Counting a request costs well under a microsecond.
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_left
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTES = ("stream", "image", "snapshot", "blob", "key", "api", "health", "other")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other")
CODES = (
    *("other", 200, 201, 202, 204, 206, 303, 304, 400, 401, 403, 404, 405, 406, 408, 409, 411),
    *(412, 413, 415, 416, 421, 422, 428, 429, 431, 499, 500, 501, 503, 504),
)
"""499: the client was gone before there was an answer."""

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds, in seconds, of the classes that the durations of metadata requests fall in."""

TIMED = "stream"

_METHOD = {name: index * len(CODES) for index, name in enumerate(METHODS)}
_OTHER_METHOD = _METHOD["other"]
_CODE = {code: index for index, code in enumerate(CODES)}
_NANOSECONDS = tuple(round(bound * 1e9) for bound in BOUNDS)

# what is where in a part, in cells of eight bytes
_HEARTBEAT, _RESTARTS = 0, 1
_ACTIVE = 2
_BYTES = _ACTIVE + len(ROUTES)
_REQUESTS = _BYTES + len(ROUTES)
_REQUESTS_OF_A_ROUTE = len(METHODS) * len(CODES)
_DURATION = _REQUESTS + len(ROUTES) * _REQUESTS_OF_A_ROUTE
_CLASSES = _DURATION + 1
_CELLS = _CLASSES + len(BOUNDS) + 1


class Counted(NamedTuple):
    """The requests of one route, method and status code."""

    route: str
    method: str
    code: str
    requests: int


class Board:
    """The memory of `parts` processes; part 0 is the supervisor's."""

    def __init__(self, descriptor: int, parts: int) -> None:
        self.descriptor = descriptor
        self.parts = parts
        self._cells = memoryview(mmap.mmap(descriptor, parts * _CELLS * 8)).cast("Q")

    @classmethod
    def create(cls, parts: int) -> Board:
        """Make the memory; it goes with the last process that holds it."""
        descriptor = os.memfd_create("mirror-meter")
        os.ftruncate(descriptor, parts * _CELLS * 8)
        return cls(descriptor, parts)

    def meter(self, part: int) -> Meter:
        """Return the meter that counts in a part."""
        return Meter(self._cells[part * _CELLS : (part + 1) * _CELLS])

    # --- the sums ---------------------------------------------------------------------------------

    def requests(self) -> Iterator[Counted]:
        """Yield what was counted; a plain GET of each route also where there was none yet."""
        cell = _REQUESTS
        for route in ROUTES:
            for method in METHODS:
                for code in CODES:
                    count = self._sum(cell)
                    cell += 1
                    if count or (method == "GET" and code == 200):
                        yield Counted(route, method, str(code), count)

    def active(self) -> dict[str, int]:
        """Return how many requests are being answered, by route."""
        return {route: self._sum(_ACTIVE + index) for index, route in enumerate(ROUTES)}

    def bytes(self) -> dict[str, int]:
        """Return how many bytes of bodies went out, by route."""
        return {route: self._sum(_BYTES + index) for index, route in enumerate(ROUTES)}

    def durations(self) -> tuple[list[int], float]:
        """Return the metadata requests in each class of `BOUNDS` (and above), and their seconds."""
        counts = [self._sum(_CLASSES + index) for index in range(len(BOUNDS) + 1)]
        return counts, self._sum(_DURATION) / 1e9

    def restarts(self) -> int:
        """Return how many workers ended without being told to."""
        return self._sum(_RESTARTS)

    def oldest_heartbeat(self, parts: list[int]) -> float:
        """Return for how many seconds the slowest of these parts has not shown its heartbeat."""
        if not parts:
            return 0.0
        return monotonic() - min(self._cells[p * _CELLS + _HEARTBEAT] for p in parts) / 1000

    def _sum(self, cell: int) -> int:
        return sum(self._cells[cell + part * _CELLS] for part in range(self.parts))


class Meter:
    """Counts in one part of a board. For one thread of one process."""

    def __init__(self, cells: memoryview[int]) -> None:
        self._cells = cells
        self._stream, self._image, self._snapshot, self._blob, *rest = (
            RouteMeter(cells, index, timed=route == TIMED) for index, route in enumerate(ROUTES)
        )
        self._key, self._api, self._health, self._other = rest

    def start(self) -> None:
        """Begin a life of this part: what a dead worker was answering, nobody is."""
        for index in range(len(ROUTES)):
            self._cells[_ACTIVE + index] = 0
        self.beat()

    def beat(self) -> None:
        """Show that the process's event loop turns."""
        self._cells[_HEARTBEAT] = round(monotonic() * 1000)

    def count_restart(self) -> None:
        """Count a worker that ended without being told to."""
        self._cells[_RESTARTS] += 1

    def of(self, path: str) -> RouteMeter:
        """Return the meter of the kind of thing that a request asks for."""
        if path.startswith("/t/"):
            _, _, path = path[3:].partition("/")
            path = "/" + path
        if path.startswith("/images/"):
            return self._stream if "/streams/v1/" in path else self._image
        if path.startswith("/snapshots/"):
            return self._snapshot
        if path.startswith("/blobs/"):
            return self._blob
        if path.startswith("/keys/"):
            return self._key
        if path.startswith("/api/"):
            return self._api
        return self._health if path in {"/healthz", "/readyz", "/metrics"} else self._other


class RouteMeter:
    """Counts the requests of one kind."""

    __slots__ = ("_active", "_bytes", "_cells", "_requests", "_timed")

    def __init__(self, cells: memoryview[int], index: int, *, timed: bool) -> None:
        self._cells = cells
        self._active = _ACTIVE + index
        self._bytes = _BYTES + index
        self._requests = _REQUESTS + index * _REQUESTS_OF_A_ROUTE
        self._timed = timed

    def begin(self) -> int:
        """Count a request that came; return what `end` needs."""
        self._cells[self._active] += 1
        return perf_counter_ns()

    def sent(self, count: int) -> None:
        """Count bytes of a body that went out."""
        self._cells[self._bytes] += count

    def end(self, method: str, status: int, begun: int) -> None:
        """Count the answer."""
        cells = self._cells
        cells[self._active] -= 1
        cells[self._requests + _METHOD.get(method, _OTHER_METHOD) + _CODE.get(status, 0)] += 1
        if self._timed:
            took = perf_counter_ns() - begun
            cells[_DURATION] += took
            cells[_CLASSES + bisect_left(_NANOSECONDS, took)] += 1
