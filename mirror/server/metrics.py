"""What /metrics says: what all workers counted, and how the mirror is, as of this scrape.

Names and labels follow Prometheus's conventions: base units, `_total` for counts; a label's values
are a closed list, or bounded by what the operator configured (sources, channels, plugins).
"""

from __future__ import annotations

import asyncio
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING

from aiohttp import web
from multidict import CIMultiDict
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from mirror.access.rights import Right
from mirror.errors import MirrorError
from mirror.server.access import principal_of, refusal_headers, require
from mirror.server.meter import BOUNDS, TIMED
from mirror.server.state_metrics import StateMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import Metric

    from mirror.server.meter import Board
    from mirror.service import Mirror

NO_STORE = {"Cache-Control": "no-store"}


class Metrics:
    """Writes the metrics of all processes that count on a board."""

    def __init__(self, board: Board, mirror: Callable[[], Mirror]) -> None:
        """`mirror` opens the mirror, or raises MirrorError; it may block."""
        self._board = board
        self._state = StateMetrics(mirror)
        self._turn = threading.Lock()

    def scrape(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics, and their Content-Type by what the client accepts. Blocks."""
        registry = CollectorRegistry(auto_describe=False)
        with self._turn:
            registry.register(_Given([*requests(self._board), *self._state.families()]))
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type


class _Given(Collector):
    """Hands over metrics that are made already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        return self._families


def requests(board: Board) -> Iterator[Metric]:
    """Yield what the workers counted."""
    build = InfoMetricFamily("mirror_build", "The version that runs.")
    build.add_metric([], {"version": version("maas-image-mirror")})
    yield build
    answered = CounterMetricFamily(
        "mirror_http_requests",
        "Requests that were answered, by what was asked for.",
        labels=("route", "method", "code"),
    )
    for each in board.requests():
        answered.add_metric([each.route, each.method, each.code], each.requests)
    yield answered
    sent = CounterMetricFamily(
        "mirror_http_response_bytes", "Bytes of bodies that were sent.", labels=("route",)
    )
    for route, count in board.bytes().items():
        sent.add_metric([route], count)
    yield sent
    active = GaugeMetricFamily(
        "mirror_http_requests_active", "Requests that are being answered.", labels=("route",)
    )
    for route, count in board.active().items():
        active.add_metric([route], count)
    yield active
    yield _durations(board)
    yield CounterMetricFamily(
        "mirror_worker_restarts",
        "Worker processes that ended without being told to, and were replaced.",
        value=board.restarts(),
    )


def _durations(board: Board) -> Metric:
    counts, seconds = board.durations()
    buckets, total = [], 0
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, total))
    took = HistogramMetricFamily(
        "mirror_http_request_duration_seconds",
        "How long it took to answer, and send, a metadata file.",
        labels=("route",),
    )
    took.add_metric([TIMED], buckets, seconds)
    return took


def add_metrics(app: web.Application, metrics: Metrics, *, needs_token: bool) -> None:
    """Add /metrics. With `needs_token`, for whoever has one, of whatever role."""

    async def answer(request: web.Request) -> web.Response:
        if needs_token:
            try:
                require(await principal_of(request), Right.READ_IMAGES)
            except MirrorError as error:
                return _refusal(error)
        accept = request.headers.get("Accept", "")
        body, content_type = await asyncio.to_thread(metrics.scrape, accept)
        return web.Response(body=body, headers={"Content-Type": content_type, **NO_STORE})

    app.router.add_get("/metrics", answer)


def _refusal(error: MirrorError) -> web.Response:
    headers = CIMultiDict([*refusal_headers(error), *NO_STORE.items()])
    text = f"{error.http_status}: {error.code}: {error}. {error.remedy}\n"
    return web.Response(status=error.http_status, text=text, headers=headers)
