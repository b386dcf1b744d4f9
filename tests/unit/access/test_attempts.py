from __future__ import annotations

import pytest

from mirror.access.attempts import MAX_KEYS, Attempts


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def attempts(clock):
    return Attempts(3, 10.0, clock=clock)


def charge(attempts, key, times):
    for _ in range(times):
        attempts.charge(key)


def test_a_burst_is_free_and_what_follows_waits(attempts):
    for _ in range(3):
        assert attempts.wait("a") == 0
        attempts.charge("a")
    assert attempts.wait("a") == pytest.approx(10)
    assert attempts.wait("b") == 0


def test_one_is_free_again_after_each_pause(attempts, clock):
    charge(attempts, "a", 3)
    clock.now += 9
    assert attempts.wait("a") == pytest.approx(1)
    clock.now += 1
    assert attempts.wait("a") == 0
    attempts.charge("a")
    assert attempts.wait("a") == pytest.approx(10)


def test_a_flood_makes_nobody_wait_longer(attempts):
    charge(attempts, "a", 10_000)
    assert attempts.wait("a") == pytest.approx(10)


def test_all_is_forgiven_in_the_end(attempts, clock):
    charge(attempts, "a", 100)
    clock.now += 30
    for _ in range(3):
        assert attempts.wait("a") == 0
        attempts.charge("a")
    assert attempts.wait("a") > 0


def test_what_turned_out_well_is_given_back(attempts):
    for _ in range(100):
        assert attempts.wait("a") == 0
        attempts.charge("a")
        attempts.refund("a")


def test_memory_is_bounded_and_the_latest_are_remembered(attempts):
    for number in range(MAX_KEYS * 3):
        charge(attempts, number, 3)
    assert attempts.wait(MAX_KEYS * 3 - 1) > 0
    assert attempts.wait(0) == 0
    assert len(attempts._empty_at) <= MAX_KEYS
