"""Syncs as jobs: recorded in the catalogue while they run, cancelled by a flag in their row."""

from __future__ import annotations
