"""The one module that plugins import.

A plugin is a module with functions marked `@hookimpl` (`mirror/hookspecs.py` lists them), named in
the entry-point group `mirror.v1`. The main hook returns `Distribution` objects; the mirror calls
their methods with plain values and paths. A method may be called from any thread, must not write
outside the scratch directory that it is given, and needs no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec
import pluggy

from mirror.model import Attributes, Finding, Item, Product, Severity, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

API_VERSION = (1, 1)
"""(major, minor). A new major gets a new entry-point group; a minor only adds."""

ENTRY_POINT_GROUP = "mirror.v1"

hookspec = pluggy.HookspecMarker("mirror")
hookimpl = pluggy.HookimplMarker("mirror")


class SourceDefault(msgspec.Struct, frozen=True):
    """A boot source that a plugin suggests; the operator adds it by name.

    `keyring` is where the file is on a machine that has the operating system's `package` installed;
    `fingerprints` are of the keys that sign the stream, for those who get them in another way. The
    last two are new in 1.1.
    """

    name: str
    url: str
    keyring: str
    title: str
    package: str = ""
    fingerprints: tuple[str, ...] = ()


class Derived(msgspec.Struct, frozen=True):
    """A file that a plugin made from a version's items; the mirror hashes, stores and lists it."""

    name: str
    ftype: str
    path: str
    """Where it is published, relative to the base of the stream."""
    file: Path
    """Where it is now, below the scratch directory."""
    attributes: Attributes = {}


@runtime_checkable
class Distribution(Protocol):
    """The knowledge of one distribution."""

    @property
    def id(self) -> str:
        """A short name that never changes (`ubuntu`)."""
        ...

    def claims(self, product: Product) -> bool:
        """Say whether this product is ours. Cheap, and always the same for the same product."""
        ...

    def describe(self, product: Product) -> str:
        """Name the product for a person: `Ubuntu 24.04 LTS (noble), amd64, ga-24.04`."""
        ...

    def default_sources(self) -> Iterable[SourceDefault]:
        """Suggest boot sources."""
        ...

    def required(self, product: Product) -> bool:
        """Say whether the product comes along with any selection, unless refused (bootloaders)."""
        ...

    def choose_items(self, product: Product, version: Version) -> Iterable[Item]:
        """Choose the items to fetch and publish, out of `version.items`.

        Nothing chosen means that the version is unusable: it is left out.
        """
        ...

    def validate(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Finding]:
        """Check the files, by item name, of a version whose digests are right already.

        An `error` quarantines the version.
        """
        ...

    def derive(
        self, product: Product, version: Version, files: Mapping[str, Path], scratch: Path
    ) -> Iterable[Derived]:
        """Make further items from the files, below `scratch`. Same input, same bytes."""
        ...


__all__ = [
    "API_VERSION",
    "ENTRY_POINT_GROUP",
    "Attributes",
    "Derived",
    "Distribution",
    "Finding",
    "Item",
    "Product",
    "Severity",
    "SourceDefault",
    "Version",
    "hookimpl",
    "hookspec",
]
