"""How the mirror is, as metrics: read from the catalogue and the store when they are asked for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    SummaryMetricFamily,
)

from mirror.catalog.tallies import CORRUPT_BLOBS, GC_BLOBS, GC_BYTES, REASONS, SYNC_SECONDS
from mirror.errors import MirrorError
from mirror.model import JobState, Severity, utcnow
from mirror.store.census import Census
from mirror.store.space import free_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from prometheus_client import Metric

    from mirror.service import Mirror

_log = logging.getLogger(__name__)


class StateMetrics:
    """Reads the state of a mirror. For one thread at a time; `families` blocks."""

    def __init__(self, mirror: Callable[[], Mirror]) -> None:
        self._mirror = mirror
        self._census: Census | None = None
        self._warned: dict[tuple[object, ...], int] = {}

    def families(self) -> list[Metric]:
        """Return all of it; what can't be read is missing, and says so by `mirror_part_up`."""
        up = GaugeMetricFamily(
            "mirror_part_up", "Whether a part of the mirror can be read.", labels=("part",)
        )
        found: list[Metric] = [up]
        parts: dict[str, Callable[[Mirror], Iterator[Metric]]] = {
            "catalogue": _catalogue,
            "channels": _channels,
            "plugins": _plugins,
            "releases": self._releases,
            "store": self._store,
            "tls": _tls,
        }
        for name, read in parts.items():
            try:
                families = list(read(self._mirror()))
            except (MirrorError, OSError) as error:
                _log.error("the metrics of the %s can't be read: %s", name, error)
                families = []
                up.add_metric([name], 0)
            else:
                up.add_metric([name], 1)
            found += families
        return found

    def _releases(self, mirror: Mirror) -> Iterator[Metric]:
        """Count once for each snapshot and day: every product that is published is looked at."""
        given = (utcnow().date(), mirror.plugins.versions)
        keys = {channel: (at, *given) for channel, at in mirror.channels.pointers().items()}
        warned: dict[tuple[object, ...], int] = {}
        for channel, key in keys.items():
            if key not in warned:
                known = self._warned.get(key)
                warned[key] = _warned_releases(mirror, channel) if known is None else known
        self._warned = warned
        yield _by(
            "channel",
            "mirror_release_warnings",
            "Releases of the channel that plugins warn of today: support that ends, or has ended.",
            [(channel, warned[key]) for channel, key in keys.items()],
        )

    def _store(self, mirror: Mirror) -> Iterator[Metric]:
        if self._census is None:
            self._census = Census(mirror.dir.blobs)
        count = self._census.take()
        yield _gauge("mirror_store_blobs", "Blobs in the store.", count.blobs)
        yield _gauge("mirror_store_bytes", "Bytes of all blobs.", count.bytes)
        free = free_bytes(mirror.dir.incoming)
        yield _gauge("mirror_store_free_bytes", "Bytes that may still be written.", free)
        yield _gauge(
            "mirror_store_min_free_bytes",
            "Bytes that a sync must leave free ([store] min_free).",
            int(mirror.settings.store.min_free),
        )
        yield _gauge("mirror_snapshots", "Snapshots.", len(mirror.store.snapshots.ids()))


def _catalogue(mirror: Mirror) -> Iterator[Metric]:
    yield from _sources(mirror)
    yield from _jobs(mirror)
    counts = mirror.catalog.tallies.all()
    for name, key, what in (
        ("mirror_gc_deleted_blobs", GC_BLOBS, "Blobs that garbage collection deleted."),
        ("mirror_gc_deleted_bytes", GC_BYTES, "Bytes of the blobs that it deleted."),
        ("mirror_scrub_corrupt", CORRUPT_BLOBS, "Damaged blobs that `mirror verify` found."),
    ):
        yield CounterMetricFamily(name, what, value=counts.get(key, 0))


def _sources(mirror: Mirror) -> Iterator[Metric]:
    now = utcnow()
    sources = [each for each in mirror.sources.list() if each.enabled]
    states = mirror.sources.states()
    yield _by(
        "source",
        "mirror_source_up",
        "Whether the boot source answered with what could be believed, when it was last read.",
        [(each.name, states[each.name].problem is None) for each in sources],
    )
    yield _by(
        "source",
        "mirror_source_last_success_timestamp_seconds",
        "When the boot source was last read with success.",
        [(each.name, _seconds(states[each.name].believed)) for each in sources],
    )
    yield _by(
        "source",
        "mirror_source_metadata_age_seconds",
        "How long ago the stream that was read last was made.",
        [
            (each.name, (now - updated).total_seconds())
            for each in sources
            if (updated := states[each.name].updated)
        ],
    )
    yield _by(
        "source",
        "mirror_source_max_staleness_seconds",
        "How old its stream may get (0: any age).",
        [(each.name, each.max_staleness.total_seconds()) for each in sources],
    )


def _jobs(mirror: Mirror) -> Iterator[Metric]:
    stored = dict(mirror.catalog.database.rows("SELECT state, count(*) FROM jobs GROUP BY state"))
    yield _by(
        "state",
        "mirror_jobs",
        "Jobs that are remembered, by their state.",
        [(state.value, stored.get(state.value, 0)) for state in JobState],
    )
    ended = mirror.catalog.tallies.jobs_ended()
    runs = CounterMetricFamily("mirror_sync_runs", "Syncs that ended, by how.", labels=("outcome",))
    for outcome, count in ended.items():
        runs.add_metric([outcome], count)
    yield runs
    yield SummaryMetricFamily(
        "mirror_sync_duration_seconds",
        "How long syncs took, from their start to their end.",
        count_value=sum(ended.values()),
        sum_value=mirror.catalog.tallies.all().get(SYNC_SECONDS, 0.0),
    )


def _channels(mirror: Mirror) -> Iterator[Metric]:
    published = [
        (name, history[-1].at.timestamp())
        for name in mirror.channels.pointers()
        if (history := mirror.channels.history(name))
    ]
    yield _by(
        "channel",
        "mirror_publication_timestamp_seconds",
        "When the channel was last pointed at a snapshot.",
        published,
    )


def _plugins(mirror: Mirror) -> Iterator[Metric]:
    yield _by(
        "plugin",
        "mirror_plugin_up",
        "Whether the plugin was loaded; one that is blocked is not listed.",
        [
            (record.name, record.status == "loaded")
            for record in mirror.plugins.records
            if record.status != "blocked"
        ],
    )
    failures = CounterMetricFamily(
        "mirror_plugin_failures",
        "What plugins did wrong at run time, and versions that they condemned (invalid).",
        labels=("plugin", "reason"),
    )
    counts = {
        (record.name, reason): 0
        for record in mirror.plugins.records
        if record.status == "loaded"
        for reason in REASONS
    }
    for labels, count in {**counts, **mirror.catalog.tallies.plugin_failures()}.items():
        failures.add_metric(labels, count)
    yield failures


def _warned_releases(mirror: Mirror, channel: str) -> int:
    grave = [n for n in mirror.images.notices(channel) if n.severity is not Severity.NOTE]
    return len({(each.os, each.release) for each in grave})


def _tls(mirror: Mirror) -> Iterator[Metric]:
    from mirror.signing.certificate import expiry

    file = getattr(mirror.settings.server, "tls_certificate", None)
    if file:
        yield _gauge(
            "mirror_tls_certificate_expiry_timestamp_seconds",
            "When the certificate that is served expires.",
            expiry(file).timestamp(),
        )


def _gauge(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def _by(label: str, name: str, what: str, values: Sequence[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, what, labels=(label,))
    for each, value in values:
        family.add_metric([each], float(value))
    return family


def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0
