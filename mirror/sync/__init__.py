"""From boot sources to a snapshot: metadata, plan, fetch, validate, build."""

from __future__ import annotations
