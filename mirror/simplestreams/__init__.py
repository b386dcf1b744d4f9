"""The simplestreams wire format: pure functions over bytes and values, no I/O."""

from __future__ import annotations
