"""What a sync says while it runs; the command line and the API render it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Event(msgspec.Struct, frozen=True, tag=True):
    """Something happened. `tag` (the class name) tells which in JSON."""


class SourceChecked(Event, frozen=True):
    """A boot source's metadata was fetched and verified, or has not changed."""

    source: str
    changed: bool
    products: int = 0


class Planned(Event, frozen=True):
    """What will be fetched: files and bytes in all, of which `resumed` bytes are here already."""

    files: int
    bytes: int


class Received(Event, frozen=True):
    """`bytes` more of `path` have come. Sent at most a few times per second and file."""

    path: str
    bytes: int


class Discarded(Event, frozen=True):
    """`bytes` of `path` counted before are worthless (a bad digest): progress steps back."""

    path: str
    bytes: int


class FileDone(Event, frozen=True):
    """A file is whole, verified and stored."""

    path: str
    size: int


class FileFailed(Event, frozen=True):
    """A file could not be had; its version will be left out."""

    path: str
    code: str
    message: str


class Retrying(Event, frozen=True):
    """A transfer failed and will be tried again in `wait` seconds."""

    path: str
    attempt: int
    wait: float
    reason: str


class Note(Event, frozen=True):
    """Something a person should read: a quarantine, a kept product, a step done."""

    message: str
    level: str = "info"


Emit = Callable[[Event], None]
"""Called from the event loop's thread only; must return at once."""
