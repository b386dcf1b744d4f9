"""What the operator decided and what happened, in SQLite."""

from __future__ import annotations
