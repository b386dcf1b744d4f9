"""What the boot sources offer, and what channels publish: lists that are read a page at a time.

Both can be made again: the one from the sources, the other from the snapshots.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from mirror.catalog.database import text
from mirror.model import AvailableImage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from mirror.catalog.database import Database

T = TypeVar("T")

_FIELDS = ("os", "release", "arch", "subarch", "label")
_values_of = attrgetter(*_FIELDS)


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list. `next` is what to ask for the part after it with; '' at the end."""

    items: tuple[T, ...]
    next: str = ""


class Available:
    """The images that the sources offer, by product, then source."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def replace(
        self, images: Mapping[str, Iterable[AvailableImage]], *, keep: Collection[str]
    ) -> None:
        """Store what each source of `images` offers; forget every source that is not in `keep`.

        Only what has changed is written.
        """
        changed: list[tuple[str, ...]] = []
        gone: list[tuple[str, str]] = []
        for source, offered in images.items():
            before = dict(
                self._database.rows(
                    "SELECT product, document FROM available WHERE source = ?", source
                )
            )
            for each in offered:
                document = text(each)
                if before.pop(each.product, "") != document:
                    changed.append((each.product, source, *_values_of(each), document))
            gone += [(product, source) for product in before]
        marks = ",".join("?" * len(keep))
        with self._database.transaction() as connection:
            connection.execute(f"DELETE FROM available WHERE source NOT IN ({marks})", (*keep,))  # noqa: S608
            connection.executemany("DELETE FROM available WHERE product = ? AND source = ?", gone)
            connection.executemany(
                "INSERT OR REPLACE INTO available (product, source, os, release, arch, subarch, "
                "label, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                changed,
            )

    def page(self, after: str, limit: int, **conditions: str) -> Page[AvailableImage]:
        """Return the images after the cursor `after` ('': from the start) that meet `conditions`.

        A condition is `source`, `os`, `release`, `arch`, `subarch` or `label`; '' is none.
        """
        source, _, product = after.partition(" ")
        where, values = _where(conditions)
        rows = self._database.rows(
            f"SELECT document FROM available WHERE (product, source) > (?, ?) {where} "  # noqa: S608
            "ORDER BY product, source LIMIT ?",
            *(product, source, *values, limit + 1),
        )
        images = tuple(self._database.decode(document, AvailableImage) for (document,) in rows)
        more = f"{images[limit - 1].source} {images[limit - 1].product}" if rows[limit:] else ""
        return Page(images[:limit], more)


class Resources:
    """The products of snapshots, by name. Only snapshots that a channel publishes are kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def has(self, snapshot: str) -> bool:
        """Say whether the snapshot's products are here."""
        found = self._database.rows("SELECT 1 FROM resources WHERE snapshot = ? LIMIT 1", snapshot)
        return bool(found)

    def add(self, snapshot: str, rows: Iterable[tuple[str, ...]], *, keep: Collection[str]) -> None:
        """Store a snapshot's products, and forget every snapshot that is not in `keep`.

        A row is product, os, release, arch, subarch, label, document.
        """
        written = [(snapshot, *row) for row in rows]  # before the others are kept waiting
        kept = {snapshot, *keep}
        marks = ",".join("?" * len(kept))
        with self._database.transaction() as connection:
            connection.execute(
                f"DELETE FROM resources WHERE snapshot NOT IN ({marks})",  # noqa: S608
                (*kept,),
            )
            connection.executemany(
                "INSERT OR REPLACE INTO resources (snapshot, product, os, release, arch, subarch, "
                "label, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                written,
            )

    def page(self, snapshot: str, after: str, limit: int, **conditions: str) -> Page[str]:
        """Return the documents of the products after the one called `after`; see `Available`."""
        where, values = _where(conditions)
        rows = self._database.rows(
            f"SELECT product, document FROM resources WHERE snapshot = ? AND product > ? {where} "  # noqa: S608
            "ORDER BY product LIMIT ?",
            *(snapshot, after, *values, limit + 1),
        )
        more = str(rows[limit - 1][0]) if rows[limit:] else ""
        return Page(tuple(document for _, document in rows[:limit]), more)


def _where(conditions: Mapping[str, str]) -> tuple[str, list[Any]]:
    """Write the conditions as SQL; their names are our own."""
    wanted = {name: value for name, value in conditions.items() if value}
    if wanted.keys() - {"source", *_FIELDS}:
        raise TypeError(f"no such condition: {sorted(wanted)}")
    return "".join(f" AND {name} = ?" for name in wanted), list(wanted.values())
