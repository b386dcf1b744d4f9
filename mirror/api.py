"""What plugins import: the marker for hooks, and the types that they see.

A plugin is a module named in the entry-point group `mirror.v1`, with functions marked `@hookimpl`
(`mirror/hookspecs.py` lists them). The main hook returns `Distribution` objects. Readers of file
formats are beside this module, in `mirror.formats`; everything else of `mirror` is private.

`claims`, `describe`, `required`, `choose_items`, `notices` and `lay_out` are asked often, in the
mirror's own processes: they look at values, never at the disk or the network. `validate`, `derive`
and `packages` run in a process of their own, with limits on time and memory; there a plugin can
read the files that it is given and write below the scratch directory, and has no network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  (msgspec looks at it)
from pathlib import Path  # noqa: TC003  (msgspec looks at it)
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec
import pluggy

from mirror.errors import CommandFailed
from mirror.model import (
    CUSTOM_CONTENT_ID,
    Attributes,
    Finding,
    Item,
    Product,
    Severity,
    Version,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date

API_VERSION = (1, 1)
"""(major, minor). A new major gets a new entry-point group; a minor only adds."""

ENTRY_POINT_GROUP = "mirror.v1"

hookspec = pluggy.HookspecMarker("mirror")
hookimpl = pluggy.HookimplMarker("mirror")


class PluginContext(msgspec.Struct, frozen=True):
    """What a hook may know: the plugin's name, and its own section of the settings.

    `settings` is a value of the type that `mirror_settings` returned; None without that hook.
    """

    name: str
    settings: Any = None


class SourceDefault(msgspec.Struct, frozen=True):
    """A boot source that a plugin suggests; the operator adds it by name.

    `keyring` is where the file is on a machine that has the operating system's `package` installed;
    `fingerprints` are of the keys that sign the stream, for those who get them in another way.
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


class Package(msgspec.Struct, frozen=True):
    """A package that is installed in an image; `version` as the distribution writes it.

    There is no space in `name`; in `version` there may be single ones: `latest/stable 1748`.
    """

    name: str
    version: str


class Placement(msgspec.Struct, frozen=True):
    """Where a rack puts an item: `path` is relative to the root that its machines boot from.

    With `unpack`, the item is an archive, and `path` the directory that its files go to.
    """

    item: str
    path: str
    unpack: bool = False


class Command(msgspec.Struct, frozen=True):
    """A command, `mirror NAME ...`: `app` is where its Typer app is, as `package.module:app`.

    It is imported when the command is called, not before; a function in its place is a command
    without verbs. `help` is the line that `mirror --help` shows. In a command, `ctx.obj` (of a
    `typer.Context`) is the plugin's `PluginContext`, with its settings. A command says what went
    wrong by raising `CommandFailed`.
    """

    name: str
    app: str
    help: str


class BuildOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be made of a file that an operator has.

    `ftype` is the file type that the image is to have, as MAAS names it (`root-tgz`); '': whatever
    fits. `hooks` is a directory with curtin hooks to put into the image; None: none. `options` are
    for the distribution; it refuses those that it does not know.
    """

    ftype: str = ""
    hooks: Path | None = None
    options: dict[str, str] = {}


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """An image that was made: `file` is below the scratch directory.

    `findings` say what a person should know of how it was made; `attributes` go to the item.
    """

    ftype: str
    file: Path
    findings: tuple[Finding, ...] = ()
    attributes: Attributes = {}


class BuildRefused(Exception):
    """A file can't become such an image: `what` is the matter, and what to do instead."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True)
class RouteCall:
    """One request to a plugin's route; each part is a value of the type that the route names."""

    where: Any
    query: Any
    body: Any


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path below /api/v1/plugins/NAME, for the API and its OpenAPI document.

    Parameters of the path (`/hosts/{name}`) are the fields of `where`. `body` None: the request has
    none; `returns` None: the answer has none. All are msgspec types. `right` is what a token needs:
    to `read` the mirror's state, or to `operate` it (all but a GET needs that): roles `operator`
    and `admin` have both. The handler runs in a thread, within a time limit; it says what was wrong
    with a request by raising `CommandFailed`, which is answered with status 422.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handler: Callable[[RouteCall], Any]
    summary: str
    right: Literal["read", "operate"] = "read"
    where: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    returns: Any = None


class SyncFinished(msgspec.Struct, frozen=True, kw_only=True):
    """A sync has ended.

    `state` is `succeeded`, `partial`, `failed`, `cancelled` or `interrupted`; `added` and `dropped`
    are versions, as `PRODUCT VERSION`; `left_out` says what was not taken and why, `error` why it
    failed.
    """

    job: int
    channel: str
    state: str
    snapshot: str = ""
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    error: str = ""


class SnapshotPublished(msgspec.Struct, frozen=True, kw_only=True):
    """A channel points at another snapshot now; `reason` is `sync`, `promote`, `rollback` ..."""

    channel: str
    snapshot: str
    previous: str
    reason: str
    at: datetime


class Distribution(ABC):
    """The knowledge of one distribution. Subclass it; what is not abstract has a plain default."""

    id: ClassVar[str]
    """A short name that never changes (`ubuntu`): lower-case letters, digits and dashes."""

    stream: ClassVar[str] = "maas"
    """Which index lists the products: `maas`. MAAS refuses an index that lists any other kind."""

    @abstractmethod
    def claims(self, product: Product) -> bool:
        """Say whether this product is ours: always the same for the same product."""

    @abstractmethod
    def describe(self, product: Product) -> str:
        """Name the product for a person: `Ubuntu 24.04 LTS (noble), amd64, GA kernel`."""

    def default_sources(self) -> Iterable[SourceDefault]:
        """Suggest boot sources."""
        return ()

    def required(self, product: Product) -> bool:
        """Say whether the product comes along with any selection, unless refused (bootloaders)."""
        del product
        return False

    def choose_items(self, product: Product, version: Version) -> Iterable[Item]:
        """Choose the items to fetch and publish, out of `version.items`; all, unless overridden.

        Nothing chosen means that the version is unusable: it is left out.
        """
        del product
        return version.items

    def validate(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Finding]:
        """Check the files, by item name, of a version whose digests are right already.

        An `error` quarantines the version. A finding's `where` is the name of an item, with what is
        inside it after a colon (`root-tgz: etc/os-release`), or '' for the version as a whole; its
        `code` is the distribution's id, a dash, and what is wrong, in lower case.
        """
        del product, version, files
        return ()

    def derive(
        self, product: Product, version: Version, files: Mapping[str, Path], scratch: Path
    ) -> Iterable[Derived]:
        """Make further items from the files, below `scratch`. Same input, same bytes."""
        del product, version, files, scratch
        return ()

    def packages(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Package]:
        """List the packages in the image; a package may be there in several versions.

        Raises `mirror.formats.FormatError` where the file that lists them can't be read.
        """
        del product, version, files
        return ()

    def build(
        self,
        product: Product,
        file: Path,
        order: BuildOrder,
        scratch: Path,
        report: Callable[[int, int], None],
    ) -> Built:
        """Make an image of `product`, which has no version yet, from a file; since 1.1.

        Runs as `validate` does, with the time that a build may take. `report` is called with the
        bytes that are done and all there are, now and then. Raises `BuildRefused`, or
        `mirror.formats.FormatError` where the file is damaged.
        """
        del file, order, scratch, report
        raise BuildRefused(
            f"{self.describe(product)} can't be built",
            "Build the image elsewhere, and add it as it is.",
        )

    def notices(self, product: Product, today: date) -> Iterable[Finding]:
        """Say what an operator should know today: that support ends soon, or has ended.

        No error: nothing is left out for it. `where` is ''. Asked anew each day, never kept; shown
        by `mirror channel show`, `mirror doctor` and the API.

        The product is as it is published; its versions may come without their items.
        """
        del product, today
        return ()

    def lay_out(self, product: Product, version: Version) -> Iterable[Placement]:
        """Say where a rack puts the items that its machines boot from; each path once."""
        del product, version
        return ()


__all__ = [
    "API_VERSION",
    "CUSTOM_CONTENT_ID",
    "ENTRY_POINT_GROUP",
    "Attributes",
    "BuildOrder",
    "BuildRefused",
    "Built",
    "Command",
    "CommandFailed",
    "Derived",
    "Distribution",
    "Finding",
    "Item",
    "Package",
    "Placement",
    "PluginContext",
    "Product",
    "Route",
    "RouteCall",
    "Severity",
    "SnapshotPublished",
    "SourceDefault",
    "SyncFinished",
    "Version",
    "hookimpl",
    "hookspec",
]
