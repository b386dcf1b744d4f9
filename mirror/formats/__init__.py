"""Readers of file formats, for plugins: what is in a file, without root, mounts or trust.

Each reads a stream once, in constant memory, and raises `FormatError` with a clause that says what
is wrong with the file.
"""

from __future__ import annotations

from mirror.formats.errors import FormatError

__all__ = ["FormatError"]
