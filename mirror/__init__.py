"""A mirror server for MAAS images."""

from __future__ import annotations
