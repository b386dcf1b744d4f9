from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from mirror.catalog import Catalog
from mirror.catalog.schema import VERSION
from mirror.catalog.tallies import REASONS, SYNC_SECONDS, reason_of
from mirror.errors import (
    DerivedRefused,
    PluginCrashed,
    PluginError,
    PluginLimitExceeded,
    PluginTrespassed,
    ValidationFailed,
)
from mirror.model import Job, JobState

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@pytest.fixture
def catalog(tmp_path):
    opened = Catalog(tmp_path / "catalog.sqlite")
    yield opened
    opened.close()


def _ran(catalog, state, seconds):
    job = catalog.jobs.add(Job(created=NOW))
    running = msgspec.structs.replace(job, state=JobState.RUNNING, started=NOW)
    catalog.jobs.update(running)
    catalog.jobs.update(running)
    ended = NOW + timedelta(seconds=seconds)
    catalog.jobs.update(msgspec.structs.replace(running, state=state, ended=ended))


def test_jobs_are_counted_by_how_they_ended_and_stay_so_when_they_are_forgotten(catalog):
    _ran(catalog, JobState.SUCCEEDED, 10)
    _ran(catalog, JobState.SUCCEEDED, 5)
    _ran(catalog, JobState.FAILED, 2)
    catalog.jobs.add(Job(created=NOW))
    catalog.jobs.prune(1)
    assert catalog.tallies.jobs_ended() == {
        "succeeded": 2,
        "partial": 0,
        "failed": 1,
        "cancelled": 0,
        "interrupted": 0,
    }
    assert catalog.tallies.all()[SYNC_SECONDS] == pytest.approx(17, abs=0.01)


def test_a_job_that_never_ran_takes_no_time(catalog):
    job = catalog.jobs.add(Job(created=NOW))
    catalog.jobs.update(
        msgspec.structs.replace(job, state=JobState.CANCELLED, ended=NOW + timedelta(days=1))
    )
    assert catalog.tallies.jobs_ended()["cancelled"] == 1
    assert catalog.tallies.all()[SYNC_SECONDS] == 0


def test_counts_go_on_after_reopening(tmp_path):
    for total in (1, 2, 3):
        catalog = Catalog(tmp_path / "catalog.sqlite")
        catalog.tallies.add({"a": 1, "b": 0.5})
        assert catalog.tallies.all() == {"a": total, "b": total / 2}
        catalog.close()


def test_a_catalogue_of_the_version_before_gets_the_counts(tmp_path):
    file = tmp_path / "catalog.sqlite"
    catalog = Catalog(file)
    with catalog.database.transaction() as connection:
        connection.execute("DROP TRIGGER jobs_that_end_are_counted")
        connection.execute("DROP TABLE tallies")
        connection.execute("PRAGMA user_version = 2")
    catalog.close()
    catalog = Catalog(file)
    _ran(catalog, JobState.PARTIAL, 1)
    assert catalog.tallies.jobs_ended()["partial"] == 1
    catalog.close()
    with sqlite3.connect(file) as plain:
        assert plain.execute("PRAGMA user_version").fetchone() == (VERSION,)
    plain.close()


def test_failures_of_plugins(catalog):
    catalog.tallies.count_failures([])
    assert catalog.tallies.plugin_failures() == {}
    catalog.tallies.count_failures([("my_plugin-2", "limit"), ("my_plugin-2", "limit")])
    catalog.tallies.count_failures([("other", "route"), ("my_plugin-2", "limit")])
    assert catalog.tallies.plugin_failures() == {("my_plugin-2", "limit"): 3, ("other", "route"): 1}
    assert set(catalog.tallies.jobs_ended().values()) == {0}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ValidationFailed, "invalid"),
        (PluginError, "error"),
        (DerivedRefused, "error"),
        (PluginLimitExceeded, "limit"),
        (PluginCrashed, "crash"),
        (PluginTrespassed, "trespass"),
    ],
)
def test_what_a_failure_is_counted_as(kind, reason):
    assert reason_of(kind("it failed")) == reason
    assert reason in REASONS
