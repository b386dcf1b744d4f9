"""How much of a stream is believed: caps that a hostile or broken source runs into."""

from __future__ import annotations

from datetime import timedelta

import msgspec

MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Caps on one stream. The defaults are far above any real one, and still fit in memory."""

    index_bytes: int = 4 * MIB
    """The largest index file, in bytes."""
    products_bytes: int = 64 * MIB
    """The largest products file, in bytes."""
    products_files: int = 500
    """How many products files an index may name."""
    products: int = 100_000
    """How many products a products file may hold."""
    versions: int = 1_000
    """How many versions a product may have."""
    items: int = 500_000
    """How many items a products file may hold, over all its versions."""
    alias_attributes: int = 1_000_000
    """How many attributes the `_aliases` of a products file may expand to."""
    clock_skew: timedelta = timedelta(days=1)
    """How far ahead of this machine's clock metadata may be dated."""
    index_skew: timedelta = timedelta(hours=2)
    """How far a products file may be dated after its index: the real stream does an hour."""
