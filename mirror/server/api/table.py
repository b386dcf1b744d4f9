"""Every route of the API."""

from __future__ import annotations

from mirror.server.api import (
    audit,
    boot_sources,
    jobs,
    schedule,
    state,
    tokens,
)

ROUTES = (
    *boot_sources.ROUTES,
    *jobs.ROUTES,
    *schedule.ROUTES,
    *tokens.ROUTES,
    *audit.ROUTES,
    *state.ROUTES,
)
