"""Decide whether a stream may be believed, after its signatures have been checked.

Pure: the clock and what was seen before come in, verdicts go out. The rules, for a stream of one
boot source:

1.  The index and each products file are within the caps of `Limits`, and parse.
2.  Nothing is dated more than a day ahead of the clock (FromTheFuture): one such file would make
    every later one look like a rollback.
3.  Nothing is older than what was seen before (Rollback).
4.  What has the time that was seen before has the same bytes (Equivocation). A products file may
    differ under the same time only if its index is newer: publishers do rebuild them so.
5.  The index is no older than `max_staleness` allows (Stale).
6.  A products file has the content id under which the index names it, holds exactly the products
    that the index lists, where it lists them, and is dated at most two hours after its index
    (MetadataMismatch). The index gives no digest of it, so this is what binds the two.
7.  Paths keep to the grammar of `paths.py` (UnsafePath for the index, the version is left out for
    an item).

`accept_rollback` sets rules 3 and 4 aside, for an operator who knows that the publisher went back.
A file that breaks a rule changes nothing: `seen()` grows only by what was accepted.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import Equivocation, FromTheFuture, MetadataMismatch, Rollback, Stale
from mirror.simplestreams.collector import collector_paused
from mirror.simplestreams.read import parse_index, parse_products
from mirror.simplestreams.timestamps import format_updated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.simplestreams.limits import Limits
    from mirror.simplestreams.read import Index, IndexEntry, ProductsFile

INDEX = "index"
"""The key of the index among what was seen; products files have their content id."""


class Seen(msgspec.Struct, frozen=True):
    """The newest file of one name that was believed: its `updated` and the digest of its text."""

    updated: datetime
    sha256: str


class TrustedStream:
    """The metadata of one boot source while it is being taken: first the index, then the rest."""

    def __init__(
        self,
        source: str,
        *,
        now: datetime,
        seen: Mapping[str, Seen],
        limits: Limits,
        max_staleness: timedelta,
        accept_rollback: bool = False,
    ) -> None:
        self._source = source
        self._now = now
        self._before = seen
        self._seen: dict[str, Seen] = {}
        self._limits = limits
        self._max_staleness = max_staleness
        self._accept_rollback = accept_rollback
        self._index: Index | None = None

    def update_index(self, data: bytes) -> Index:
        """Believe an index file (plain JSON), or raise IntegrityError or StreamError."""
        index = parse_index(data, self._limits)
        found = Seen(index.updated, sha256(data).hexdigest())
        self._check_time(INDEX, found, newer_elsewhere=False)
        self._check_staleness(index)
        self._index = index
        self._seen = {INDEX: found}
        return index

    @collector_paused()
    def update_products(self, entry: IndexEntry, data: bytes) -> ProductsFile:
        """Believe the products file of an entry of the index, or raise as `update_index` does."""
        index = self._index
        if index is None or entry not in index.entries:
            raise MetadataMismatch(f"{self._source}: the index names no {entry.content_id}")
        products = parse_products(data, self._limits)
        self._check_belongs(index, entry, products)
        found = Seen(products.updated, sha256(data).hexdigest())
        self._check_time(entry.content_id, found, newer_elsewhere=self._is_newer(index))
        self._seen[entry.content_id] = found
        return products

    def seen(self) -> dict[str, Seen]:
        """Return what to remember for the next time, old and new together."""
        return {**self._before, **self._seen}

    def _is_newer(self, index: Index) -> bool:
        before = self._before.get(INDEX)
        return before is None or index.updated > before.updated

    def _check_time(self, name: str, found: Seen, *, newer_elsewhere: bool) -> None:
        dated = f"{self._source}: {name} is dated {format_updated(found.updated)}"
        if found.updated > self._now + self._limits.clock_skew:
            raise FromTheFuture(f"{dated}, and it is {format_updated(self._now)} here")
        before = self._before.get(name)
        if before is None or self._accept_rollback:
            return
        if found.updated < before.updated:
            raise Rollback(f"{dated}, but one of {format_updated(before.updated)} was seen before")
        if found.updated > before.updated or newer_elsewhere:
            return
        if found.sha256 != before.sha256:
            what = f"its sha256 is {found.sha256[:12]}..., not {before.sha256[:12]}... as before"
            raise Equivocation(f"{dated}, as it was before, but has other content: {what}")

    def _check_staleness(self, index: Index) -> None:
        age = self._now - index.updated
        if self._max_staleness and age > self._max_staleness:
            what = f"the index is {_days(age)} old (max_staleness: {_days(self._max_staleness)})"
            raise Stale(f"{self._source}: {what}")

    def _check_belongs(self, index: Index, entry: IndexEntry, products: ProductsFile) -> None:
        where = f"{self._source}: {entry.path}"
        if products.content_id != entry.content_id:
            what = f"holds {products.content_id}, where the index says {entry.content_id}"
            raise MetadataMismatch(f"{where} {what}")
        if products.updated > index.updated + self._limits.index_skew:
            times = f"{format_updated(products.updated)}, its index {format_updated(index.updated)}"
            raise MetadataMismatch(f"{where} is dated {times}")
        names = {product.name for product in products.products}
        names.update(rejected.product for rejected in products.rejected)
        if entry.products is not None and names != entry.products:
            missing, extra = len(entry.products - names), len(names - entry.products)
            example = min(entry.products ^ names)
            what = f"lacks {missing} products of the index and has {extra} others ({example[:120]})"
            raise MetadataMismatch(f"{where} {what}")


def _days(span: timedelta) -> str:
    return f"{span / timedelta(days=1):.1f} days"
