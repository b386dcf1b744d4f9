"""Selections: what to take from the boot sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.errors import AlreadyExists, NotFound, SelectionInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.model import Selection
    from mirror.service.mirror import Mirror
    from mirror.sync.events import Emit
    from mirror.sync.look import SelectionPreview

_MOST_VERSIONS = 1000


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
        """Add a selection (its `id` is given here).

        Raises `SelectionInvalid`, `FilterInvalid`, `AlreadyExists`, and `NotFound` for its source.
        """
        tidy = self._checked(msgspec.structs.replace(selection, id=0))
        added = self._mirror.catalog.add_selection(tidy)
        self._mirror.catalog.audit.record(by, "selection.add", str(added.id), None, added)
        return added

    def update(self, selection: Selection, *, by: str) -> Selection:
        """Put a selection in the place of the one that has its `id`. Raises what `add` does."""
        before = self.get(selection.id)
        tidy = self._checked(selection)
        self._mirror.catalog.update_selection(tidy)
        self._mirror.catalog.audit.record(by, "selection.update", str(tidy.id), before, tidy)
        return tidy

    def remove(self, number: int, *, by: str) -> None:
        """Remove a selection; its images leave with the next sync. Raises `NotFound`."""
        before = self.get(number)
        self._mirror.catalog.remove_selection(number)
        self._mirror.catalog.audit.record(by, "selection.remove", str(number), before, None)

    async def preview(self, selection: Selection, emit: Emit) -> SelectionPreview:
        """Say what the next sync would do otherwise with this selection, added or changed.

        One that has the `id` of another takes its place. The boot sources are read, each once;
        those that can't be are in the answer. Raises what `add` does, and `NothingSelected` where
        there is no enabled boot source.
        """
        from mirror.sync.look import preview

        tidy = self._checked(selection)
        selections = tuple(each for each in self.list() if each.id != tidy.id)
        channel = self._mirror.settings.sync.channel
        return await preview(self._mirror.tools(), channel, (*selections, tidy), emit)

    def _checked(self, selection: Selection) -> Selection:
        """Return the selection tidied up, if it makes sense and is not here already."""
        tidy = tidied(selection)
        if tidy.source:
            self._mirror.sources.get(tidy.source)
        for other in self.list():
            if other.id != tidy.id and msgspec.structs.replace(other, id=tidy.id) == tidy:
                raise AlreadyExists(
                    f"selection {other.id} takes just this already",
                    remedy=f"See it with `mirror select show {other.id}`.",
                )
        return tidy


def tidied(selection: Selection) -> Selection:
    """Return the selection without empty values.

    Raises `SelectionInvalid`, `FilterInvalid` where it makes no sense by itself.
    """
    from mirror.sync.selecting import conditions_of

    tidy = msgspec.structs.replace(
        selection,
        os=selection.os.strip(),
        release=selection.release.strip(),
        arches=_tidy(selection.arches),
        subarches=_tidy(selection.subarches),
        labels=_tidy(selection.labels),
        filters=_tidy(selection.filters),
    )
    if not (tidy.os or tidy.release or tidy.arches or tidy.subarches or tidy.filters):
        raise SelectionInvalid(
            "the selection names no os, release, arch, kernel or filter: it would take all",
            remedy="Name what to take. If all of it is meant, name every os: --os '*'.",
        )
    if not 1 <= tidy.keep <= _MOST_VERSIONS:
        raise SelectionInvalid(
            f"a selection can't hold {tidy.keep} versions of a product",
            remedy=f"Hold between 1 and {_MOST_VERSIONS} of them.",
        )
    conditions_of(tidy)
    return tidy


def _tidy(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(value.strip() for value in values if value.strip())
