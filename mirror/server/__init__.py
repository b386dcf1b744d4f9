"""The HTTP server: published trees, blobs, keys and health."""

from __future__ import annotations
