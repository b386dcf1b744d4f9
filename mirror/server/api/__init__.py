"""The REST API: one table of routes answers the requests and writes the OpenAPI document."""

from __future__ import annotations

from mirror.server.api.app import make_api

__all__ = ["make_api"]
