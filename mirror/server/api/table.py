"""Every route of the API."""

from __future__ import annotations

from mirror.server.api import (
    audit,
    boot_sources,
    channels,
    custom_images,
    images,
    jobs,
    schedule,
    selections,
    snapshots,
    state,
    storage,
    tokens,
)

ROUTES = (
    *boot_sources.ROUTES,
    *selections.ROUTES,
    *images.ROUTES,
    *custom_images.ROUTES,
    *jobs.ROUTES,
    *schedule.ROUTES,
    *snapshots.ROUTES,
    *channels.ROUTES,
    *storage.ROUTES,
    *tokens.ROUTES,
    *audit.ROUTES,
    *state.ROUTES,
)
