from __future__ import annotations

import pytest

from mirror.jobs.progress import Meter, level_of, say
from mirror.sync import events

MB = 1_000_000


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def meter(clock):
    return Meter(clock)


def test_a_steady_transfer(meter, clock):
    meter.take(events.Planned(2, 100 * MB))
    for _ in range(40):
        clock.now += 0.5
        meter.take(events.Received("a", MB))
        progress = meter.progress()
    assert (progress.files, progress.files_done) == (2, 0)
    assert (progress.bytes, progress.bytes_done) == (100 * MB, 40 * MB)
    assert progress.rate == pytest.approx(2 * MB)
    assert progress.eta == pytest.approx(30)


def test_the_rate_follows_a_change_without_jumping(meter, clock):
    meter.take(events.Planned(1, 1000 * MB))
    for _ in range(20):
        clock.now += 0.5
        meter.take(events.Received("a", 5 * MB))
        meter.progress()
    clock.now += 0.5
    at_once = meter.progress().rate
    assert 9 * MB < at_once < 10 * MB
    for _ in range(120):
        clock.now += 0.5
        meter.take(events.Received("a", MB))
        later = meter.progress().rate
    assert later == pytest.approx(2 * MB, rel=0.05)


def test_what_an_earlier_run_left_counts_but_makes_no_rate(meter, clock):
    meter.take(events.Planned(1, 1000 * MB))
    meter.take(events.Received("a", 900 * MB))
    clock.now += 1
    meter.take(events.Received("a", MB))
    progress = meter.progress()
    assert progress.bytes_done == 901 * MB
    assert progress.rate == pytest.approx(MB)
    assert progress.eta == pytest.approx(99)


def test_nothing_is_known_before_something_came(meter, clock):
    assert meter.progress().eta is None
    meter.take(events.Planned(1, MB))
    assert meter.progress().eta is None
    clock.now += 5
    stalled = meter.progress()
    assert (stalled.rate, stalled.eta) == (0, None)


def test_a_bad_file_steps_back_and_a_second_round_starts_over(meter, clock):
    meter.take(events.Planned(1, 10 * MB))
    meter.take(events.Received("a", 4 * MB))
    meter.take(events.Discarded("a", 4 * MB))
    assert meter.progress().bytes_done == 0
    meter.take(events.Planned(3, MB))
    progress = meter.progress()
    assert (progress.files, progress.bytes, progress.bytes_done) == (3, MB, 0)


def test_at_the_end_the_rate_is_that_of_the_whole(meter, clock):
    meter.take(events.Planned(1, 10 * MB))
    clock.now += 4
    meter.take(events.Received("a", 10 * MB))
    clock.now += 1
    meter.take(events.FileDone("a", 10 * MB))
    clock.now += 50
    done = meter.progress()
    assert (done.files_done, done.rate, done.eta) == (1, 2 * MB, None)


def test_what_is_said_of_events():
    failed = events.FileFailed("p", "MIR-404", "gone")
    assert (say(failed), level_of(failed)) == ("failed: p: gone [MIR-404]", "error")
    retry = events.Retrying("p", 2, 1.5, "stalled")
    assert (say(retry), level_of(retry)) == (
        "retrying p in 1.5 s (attempt 2): stalled",
        "warning",
    )
    note = events.Note("kept", "warning")
    assert (say(note), level_of(note)) == ("kept", "warning")
    assert say(events.Received("p", 1)) == ""
