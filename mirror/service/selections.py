"""Selections: what to take from the boot sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.errors import NotFound

if TYPE_CHECKING:
    from mirror.model import Selection
    from mirror.service.mirror import Mirror


class Selections:
    """The selections of one mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def list(self) -> list[Selection]:
        """Return every selection, in the order in which they were made."""
        return self._mirror.catalog.selections()

    def get(self, number: int) -> Selection:
        """Return a selection, or raise `NotFound`."""
        for selection in self.list():
            if selection.id == number:
                return selection
        raise NotFound(f"there is no selection {number}")

    def add(self, selection: Selection, *, by: str) -> Selection:
        """Add a selection (its `id` is given here). Raises `FilterInvalid`, `NotFound`."""
        from mirror.simplestreams.filters import parse_filter

        for text in selection.filters:
            parse_filter(text)
        if selection.source:
            self._mirror.sources.get(selection.source)
        added = self._mirror.catalog.add_selection(selection)
        self._mirror.catalog.audit.record(by, "selection.add", str(added.id), None, added)
        return added

    def remove(self, number: int, *, by: str) -> None:
        """Remove a selection; its images leave with the next sync. Raises `NotFound`."""
        before = self.get(number)
        self._mirror.catalog.remove_selection(number)
        self._mirror.catalog.audit.record(by, "selection.remove", str(number), before, None)
