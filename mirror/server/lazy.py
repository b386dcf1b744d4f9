"""The `Mirror` of a serving process, opened when the first request needs it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from mirror.service import Mirror

if TYPE_CHECKING:
    from mirror.server.options import ServerOptions


class LazyMirror:
    """Opens the mirror that these options name, once. Reading images needs none."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._mirror: Mirror | None = None

    def get(self) -> Mirror:
        """Return the mirror; from any thread but the event loop's, for it may block.

        Raises what reading the settings and `Mirror.open` raise.
        """
        with self._lock:
            if self._mirror is None:
                self._mirror = self._open()
            return self._mirror

    def close(self) -> None:
        """Close the mirror, if it was opened. Blocks."""
        with self._lock:
            if self._mirror is not None:
                self._mirror.close()
                self._mirror = None

    def _open(self) -> Mirror:
        from mirror.settings import load_settings

        config = Path(self._options.config) if self._options.config else None
        mirror = Mirror.open(load_settings(data_dir=Path(self._options.data_dir), config=config))
        # what is opened when it is first asked for must not be opened by two threads at once
        _ = (mirror.catalog, mirror.tokens, mirror.audit)
        return mirror
