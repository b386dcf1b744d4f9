"""What the mirror and the process of a plugin say to each other.

Each message is JSON behind its length, four bytes, the greatest first. The mirror says `Start`, and
then asks, one `Request` at a time; to each the worker gives one `Reply`: to `Build`, after any
number of `Step`s.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path, PurePath
from typing import Any, Literal

import msgspec

from mirror.api import (  # noqa: TC001  (msgspec looks at them)
    Attributes,
    BuildOrder,
    Finding,
    Package,
    Product,
    Version,
)
from mirror.plugin_manager.records import EVENT_HOOKS

MAX_REPLY = 16 * 1024 * 1024
"""Bytes of one reply."""
MAX_FINDINGS = 1000
MAX_DERIVED = 100
MAX_PACKAGES = 100_000

EVENTS = {hook: kind for kind, hook in EVENT_HOOKS.items()}
"""What each hook that hears of events hears of."""

HOME = "home"
"""The name of a worker's own directory in its scratch directory."""

HEAD = struct.Struct(">I")


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker is for, and what it may have.

    `section` is the plugin's part of the settings. `scratch` is the worker's own directory; besides
    what Python needs, it may read what is below `readable`, but never below `private`. `memory` and
    `disk` are in bytes. Without `confined`, it may do what its user may.
    """

    plugin: str
    section: dict[str, Any] = {}
    scratch: str
    readable: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    memory: int
    disk: int
    confined: bool = True


class Inspect(msgspec.Struct, frozen=True, tag=True):
    """Validate a version's files, by item name; where no error is found, derive from them.

    Errors whose codes are `accepted` do not count.
    """

    distribution: str
    product: Product
    version: Version
    files: dict[str, str]
    scratch: str
    accepted: tuple[str, ...] = ()


class ListPackages(msgspec.Struct, frozen=True, tag=True):
    """List the packages in an image."""

    distribution: str
    product: Product
    version: Version
    files: dict[str, str]


class Build(msgspec.Struct, frozen=True, tag=True):
    """Make an image from a file."""

    distribution: str
    product: Product
    file: str
    order: BuildOrder
    scratch: str


class Notify(msgspec.Struct, frozen=True, tag=True):
    """Call a hook that hears of an event, which is JSON."""

    hook: str
    event: msgspec.Raw


Request = Inspect | ListPackages | Build | Notify


class Made(msgspec.Struct, frozen=True):
    """A derived file, as the plugin describes it."""

    name: str
    ftype: str
    path: str
    file: str
    attributes: Attributes = {}


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The plugin is loaded, or what it was told is done."""


class Inspection(msgspec.Struct, frozen=True, tag=True):
    """What an inspection found and made."""

    findings: tuple[Finding, ...]
    made: tuple[Made, ...] = ()


class Image(msgspec.Struct, frozen=True, tag=True):
    """An image that was made."""

    ftype: str
    file: str
    findings: tuple[Finding, ...] = ()
    attributes: Attributes = {}


class Step(msgspec.Struct, frozen=True, tag=True):
    """How far a build is, in bytes. It is no reply: one follows."""

    done: int
    total: int


class Packages(msgspec.Struct, frozen=True, tag=True):
    """What is installed in an image."""

    packages: tuple[Package, ...]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """It could not be done.

    `kind` is `raised` (whatever the plugin's code raised), `unreadable` (the list of packages is),
    `refused` (a build: `remedy` is what to do instead), `limit` (out of memory or disk, or too much
    to say) or `trespass`.
    """

    kind: Literal["raised", "unreadable", "refused", "limit", "trespass"]
    what: str
    remedy: str = ""


Reply = Ready | Inspection | Packages | Image | Step | Failed


def frame(message: msgspec.Struct) -> bytes:
    """Return a message as it is sent. Raises `TypeError` or `ValueError` for what is no JSON."""
    body = msgspec.json.encode(message, enc_hook=_path_as_text)
    return HEAD.pack(len(body)) + body


def _path_as_text(value: object) -> str:
    """Write a path, which an order to build may have, as text. Raises `TypeError` for others."""
    if isinstance(value, PurePath):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def path_of_text(kind: type, value: object) -> object:
    """Read a path again. Raises `TypeError` for anything else that JSON has no word for."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"{kind.__name__} is no JSON")


def read_frame(fd: int) -> bytes | None:
    """Read one message, waiting for it; None when the other side is gone."""
    head = _read(fd, HEAD.size)
    return _read(fd, HEAD.unpack(head)[0]) if head else None


def write_all(fd: int, data: bytes) -> None:
    """Write all of the bytes, waiting for the other side."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _read(fd: int, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        piece = os.read(fd, size - len(data))
        if not piece:
            return None
        data += piece
    return bytes(data)
