"""The composition root: it opens settings, store, catalogue, key and plugins, and has the verbs.

The command line and the server call these and render what comes back; nothing below knows them.
Every verb that changes something says `by` whom, and writes the change into the audit log.
"""

from __future__ import annotations

from mirror.service.mirror import Mirror

__all__ = ["Mirror"]
