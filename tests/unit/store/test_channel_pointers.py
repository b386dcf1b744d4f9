from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mirror.errors import ChannelMoved, NameInvalid, NotFound, StoreError
from mirror.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def three(publish: Callable[..., str]) -> list[str]:
    return [publish({}, created=NOON + day * DAY) for day in range(3)]


def history_file(store: Store, name: str = "stable") -> Path:
    return store.dir.channels / f".{name}.history"


def test_a_switch_moves_the_pointer_and_is_remembered(store: Store, three: list[str]) -> None:
    assert store.channels.current("stable") is None
    assert store.channels.names() == []
    for snapshot_id in three[:2]:
        store.channels.switch("stable", snapshot_id, "sync")
        assert store.channels.current("stable") == snapshot_id
    first, second = store.channels.history("stable")
    assert (first.snapshot, first.previous, first.reason) == (three[0], "", "sync")
    assert (second.snapshot, second.previous) == (three[1], three[0])
    assert store.channels.names() == ["stable"]
    assert store.channels.path("stable").read_text() == f"{three[1]}\n"


def test_channels_are_apart(store: Store, three: list[str]) -> None:
    store.channels.switch("stable", three[0], "sync")
    store.channels.switch("candidate", three[1], "sync")
    assert store.channels.names() == ["candidate", "stable"]
    assert store.channels.current("stable") == three[0]
    assert len(store.channels.history("candidate")) == 1


def test_a_channel_points_only_at_what_exists(store: Store) -> None:
    with pytest.raises(NotFound):
        store.channels.switch("stable", "20261123T120000Z-00000000", "sync")
    with pytest.raises(NameInvalid):
        store.channels.switch("stable", "candidate", "sync")
    assert store.channels.names() == []


@pytest.mark.parametrize(
    "name", ["", ".stable", "-x", "a/b", "..", "a" * 65, "naïve", "a b", "a\n", "a\0"]
)
def test_names_that_can_not_be(store: Store, three: list[str], name: str) -> None:
    with pytest.raises(NameInvalid):
        store.channels.switch(name, three[0], "sync")
    with pytest.raises(NameInvalid):
        store.channels.current(name)


@pytest.mark.parametrize("name", ["a", "9", "Site-A_1.2", "stable.history", "a" * 64])
def test_names_that_can_be(store: Store, three: list[str], name: str) -> None:
    store.channels.switch(name, three[0], "sync")
    store.channels.switch("stable", three[1], "sync")
    assert store.channels.current(name) == three[0]
    assert store.channels.names() == sorted([name, "stable"])


def test_a_superseded_snapshot_is_live_for_the_grace_period(store: Store, three: list[str]) -> None:
    for day, snapshot_id in enumerate(three):
        store.channels.switch("stable", snapshot_id, "sync", at=NOON + day * DAY)
    one, two, current = three

    def live(grace: timedelta, days: float = 2.5) -> list[str]:
        return store.channels.live("stable", grace, NOON + days * DAY)

    assert live(timedelta(0)) == [current]
    assert live(timedelta(hours=12)) == [current]
    assert live(timedelta(hours=13)) == [current, two]
    assert live(2 * DAY) == [current, two, one]
    assert live(2 * DAY, days=9) == [current]
    assert store.channels.live("none", DAY) == []


def test_rolling_back_and_forth_names_each_snapshot_once(store: Store, three: list[str]) -> None:
    for hour, number in enumerate((0, 1, 0, 1, 2, 1)):
        store.channels.switch("stable", three[number], "x", at=NOON + timedelta(hours=hour))
    live = store.channels.live("stable", DAY, NOON + timedelta(hours=6))
    assert live == [three[1], three[2], three[0]]


def test_a_removed_snapshot_is_not_live(store: Store, three: list[str]) -> None:
    for snapshot_id in three[:2]:
        store.channels.switch("stable", snapshot_id, "sync")
    store.snapshots.remove(three[0])
    assert store.channels.live("stable", DAY) == [three[1]]


@pytest.mark.parametrize("torn", [b'{"at":"2026-', b"\xff\xfe", b"{}", b"null\n"])
def test_a_torn_last_line_is_passed_over(store: Store, three: list[str], torn: bytes) -> None:
    store.channels.switch("stable", three[0], "sync")
    with history_file(store).open("ab") as file:
        file.write(torn)
    assert [each.snapshot for each in store.channels.history("stable")] == [three[0]]
    store.channels.switch("stable", three[1], "sync")
    assert [each.snapshot for each in store.channels.history("stable")] == three[:2]


def test_a_switch_cut_short_before_the_pointer_did_not_happen(
    store: Store, three: list[str]
) -> None:
    store.channels.switch("stable", three[0], "sync", at=NOON)
    before = store.channels.path("stable").read_bytes()
    store.channels.switch("stable", three[1], "cut short", at=NOON)
    store.channels.path("stable").write_bytes(before)
    assert store.channels.current("stable") == three[0]
    assert [each.reason for each in store.channels.history("stable")] == ["sync"]
    store.channels.switch("stable", three[2], "again", at=NOON)
    assert [each.reason for each in store.channels.history("stable")] == ["sync", "again"]
    assert store.channels.live("stable", DAY, NOON) == [three[2], three[0]]


def test_the_history_comes_first(store: Store, three: list[str]) -> None:
    store.channels.switch("stable", three[0], "sync")
    history_file(store).unlink()
    history_file(store).mkdir()
    with pytest.raises(StoreError, match="history"):
        store.channels.switch("stable", three[1], "can't be written down")
    assert store.channels.current("stable") == three[0]


def test_a_lost_history_does_not_stop_the_channel(store: Store, three: list[str]) -> None:
    store.channels.switch("stable", three[0], "sync")
    history_file(store).unlink()
    assert store.channels.current("stable") == three[0]
    assert store.channels.live("stable", DAY) == [three[0]]
    store.channels.switch("stable", three[1], "sync")
    assert store.channels.live("stable", DAY) == [three[1], three[0]]


def test_remove_takes_the_history_along(store: Store, three: list[str]) -> None:
    store.channels.switch("stable", three[0], "sync")
    store.channels.remove("stable")
    assert store.channels.names() == []
    assert store.channels.history("stable") == []
    with pytest.raises(NotFound):
        store.channels.remove("stable")


def _switch_often(root: Path, key_home: Path, mine: str, other: str) -> None:
    from mirror.signing.key import SigningKey

    channels = Store.open(root, key=SigningKey.open(key_home)).channels
    for turn in range(60):
        channels.switch("stable", (mine, other)[turn % 2], mine)


def test_switches_of_two_processes_make_one_history(store: Store, three: list[str]) -> None:
    spawn = multiprocessing.get_context("spawn")
    pairs = ((three[0], three[1]), (three[2], three[1]))
    children = [
        spawn.Process(target=_switch_often, args=(store.dir.root, store.key.home, *pair))
        for pair in pairs
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    history = store.channels.history("stable")
    assert len(history) == 120
    assert [each.previous for each in history[1:]] == [each.snapshot for each in history[:-1]]
    assert history[-1].snapshot == store.channels.current("stable")
    assert {each.reason for each in history} == {three[0], three[2]}


def test_a_switch_that_was_decided_on_an_old_state_is_refused(
    store: Store, three: list[str]
) -> None:
    store.channels.switch("stable", three[0], "made", expected="")
    with pytest.raises(ChannelMoved, match=three[0]):
        store.channels.switch("stable", three[2], "made", expected="")
    store.channels.switch("stable", three[1], "mine", expected=three[0], by="me", origin=three[2])
    with pytest.raises(ChannelMoved):
        store.channels.switch("stable", three[2], "late", expected=three[0])
    assert store.channels.current("stable") == three[1]
    last = store.channels.history("stable")[-1]
    assert (last.by, last.origin, last.reason) == ("me", three[2], "mine")


def test_a_history_of_before_there_was_a_by_is_read(store: Store, three: list[str]) -> None:
    line = (
        f'{{"at":"2026-11-23T12:00:00Z","snapshot":"{three[0]}","previous":"","reason":"sync"}}\n'
    )
    (store.dir.channels / ".stable.history").write_text(line)
    (store.dir.channels / "stable").write_text(three[0])
    [only] = store.channels.history("stable")
    assert (only.by, only.origin) == ("", "")
