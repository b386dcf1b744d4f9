from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mirror.model import Switch
from mirror.publish.history import earlier

AT = datetime(2026, 11, 23, tzinfo=UTC)


def history(*entries: str) -> list[Switch]:
    """Make a history of `A` (published), or `D<A` (D is A again, rolled back to)."""
    switches: list[Switch] = []
    for entry in entries:
        snapshot, _, origin = entry.partition("<")
        previous = switches[-1].snapshot if switches else ""
        reason = f"rolled back from {previous}" if origin else "sync"
        switches.append(Switch(AT, snapshot, previous, reason, origin=origin))
    return switches


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ((), None),
        (("A",), None),
        (("A", "B"), "A"),
        (("A", "B", "C"), "B"),
        # back from B to A, which is the first: there is nothing before it
        (("A", "B", "D<A"), None),
        # back from C to B, and again: to what was before B
        (("A", "B", "C", "D<B"), "A"),
        (("A", "B", "C", "D<B", "E<A"), None),
        # a sync after a rollback: back to what the rollback had brought
        (("A", "B", "D<A", "E"), "D"),
        (("A", "B", "D<A", "E", "F<D"), None),
        (("A", "B", "C", "D<B", "E", "F<D"), "A"),
        # back to a snapshot that this channel never had: again is to what it had then
        (("A", "B", "D<X"), "B"),
    ],
)
def test_what_came_before(entries: tuple[str, ...], found: str | None) -> None:
    assert earlier(history(*entries), lambda _: True) == found


def test_what_is_gone_is_passed_over() -> None:
    entries = history("A", "B", "C")
    assert earlier(entries, lambda name: name == "A") == "A"
    assert earlier(entries, lambda _: False) is None


def test_the_origin_stands_in_for_what_was_made_of_it() -> None:
    entries = history("A", "B", "D<A", "E")
    assert earlier(entries, lambda name: name != "D") == "A"


def test_a_pointer_that_was_moved_back_by_an_older_mirror() -> None:
    entries = history("A", "B")
    entries.append(Switch(AT, "A", "B", "rolled back from B"))
    assert earlier(entries, lambda _: True) is None
