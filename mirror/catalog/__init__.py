"""What the operator decided, in SQLite."""

from __future__ import annotations

from mirror.catalog.catalog import Catalog, SourceMemory

__all__ = ["Catalog", "SourceMemory"]
