"""The nouns of the mirror, as frozen values.

A *product* (one os/release/arch/kernel) has *versions*; a version has *items* (files). A *boot
source* offers products, a *selection* chooses among them. A *snapshot* names every published path
and the blob behind it; a *channel* points at one snapshot.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

Attributes = dict[str, Any]
"""Further keys of a product, version or item, as JSON values, as the boot source wrote them."""


class Kind(StrEnum):
    """What shape a product has. MAAS 3.7+ refuses a products file that mixes them."""

    BOOTLOADER = "bootloader"
    MULTI_FILE = "multi-file"
    SINGLE_FILE = "single-file"
    OTHER = "other"
    """No MAAS 3.7+ can parse it (a dd image, say): published in `index-all` only."""


CUSTOM_CONTENT_ID = "custom"
"""The content id of the products that are not a boot source's, but the operator's own images."""


class Licence(StrEnum):
    """Who may have an image. A product that has no attribute `licence` is free."""

    FREE = "free"
    SUBSCRIPTION = "subscription"
    """For those who subscribe (RHEL, SLES)."""
    PROPRIETARY = "proprietary"
    """Not to be passed on without its owner's leave (Windows, ESXi)."""


class Item(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One file of a version. `path` is relative to the base of the stream; `size` is in bytes.

    `derived`: a plugin made it from the others; no source has it.
    """

    name: str
    ftype: str
    path: str
    sha256: str
    size: int
    attributes: Attributes = {}
    derived: bool = False


class Version(msgspec.Struct, frozen=True, gc=False):
    """One build of a product. `name` sorts by time as a string: MAAS takes the greatest."""

    name: str
    items: tuple[Item, ...]
    attributes: Attributes = {}


class Product(msgspec.Struct, frozen=True, gc=False):
    """What a boot source offers under one name. `versions` are sorted by name, oldest first."""

    name: str
    content_id: str
    attributes: Attributes
    versions: tuple[Version, ...]

    @property
    def os(self) -> str:
        """The operating system, as MAAS names it (`ubuntu`, `centos`, `grub-efi-signed`)."""
        return str(self.attributes.get("os", ""))

    @property
    def release(self) -> str:
        """The release (`noble`, `centos70`); empty for a bootloader."""
        return str(self.attributes.get("release", ""))

    @property
    def arch(self) -> str:
        """Debian's name of the architecture (`amd64`)."""
        return str(self.attributes.get("arch", ""))

    @property
    def is_custom(self) -> bool:
        """Whether it is an image that an operator put in: here, or on the mirror that has it.

        A stream with several kinds of them has a content id for each: `custom:single-file`.
        """
        return self.content_id.partition(":")[0] == CUSTOM_CONTENT_ID

    @property
    def licence(self) -> Licence:
        """Who may have it; what is not known is as good as proprietary."""
        said = self.attributes.get("licence", Licence.FREE)
        return Licence(said) if said in tuple(Licence) else Licence.PROPRIETARY


class BootSource(msgspec.Struct, frozen=True):
    """Where images come from.

    `url` is the base of the stream, or the address of one index file; `fallback_urls` are tried in
    order when it can't be reached. The keyring is `keyring` (the path of a binary or armored file)
    or `keyring_data` (armored, or base64 of binary); with neither, each of `fingerprints` must be
    of a key that the mirror knows already. `fingerprints` narrows a keyring to those primary keys
    or subkeys (empty: any key of it). `trust` is `signed`, or `none` for an unsigned source.
    `no_proxy` is a comma-separated list of hosts, domains and networks. Passwords are in files:
    none is ever in a URL or in the catalogue. `bandwidth` is in bytes per second (0: no limit); a
    `max_staleness` of 0 never refuses an old index.
    """

    name: str
    url: str
    fallback_urls: tuple[str, ...] = ()
    keyring: str = ""
    keyring_data: str = ""
    fingerprints: tuple[str, ...] = ()
    trust: str = "signed"
    priority: int = 0
    enabled: bool = True
    proxy: str = ""
    proxy_username: str = ""
    proxy_password_file: str = ""
    no_proxy: str = ""
    ca_file: str = ""
    username: str = ""
    password_file: str = ""
    bandwidth: int = 0
    max_staleness: timedelta = timedelta(days=7)


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a boot source was when it was last read.

    `state` is `good`, `stale` (its stream has got older than it may), `failing`, `unread` or
    `disabled`. `checked` is when it was last asked, `believed` when it last answered with what
    could be believed: a stream of the time `updated`, signed by the primary key `fingerprint`, at
    `url`. `problem` is what was wrong the last time; `passed_over` says what was wrong with
    addresses that were tried before the one that answered. `products` of it were read, `rejected`
    versions could not be.
    """

    name: str
    state: str = "unread"
    checked: datetime | None = None
    believed: datetime | None = None
    updated: datetime | None = None
    url: str = ""
    fingerprint: str = ""
    products: int = 0
    rejected: int = 0
    problem: Problem | None = None
    failing_since: datetime | None = None
    passed_over: tuple[Problem, ...] = ()


class Selection(msgspec.Struct, frozen=True):
    """What to take: the products that pass every condition, of `source` (empty: of any source).

    `os`, `release`, `arches`, `subarches` and `labels` are as in MAAS's selections (empty, or `*`:
    any); `filters` are simplestreams filters (`release~(jammy|noble)`). `keep` is how many versions
    of each product to hold, newest first. `bootloaders` lets the products come along that a plugin
    says every selection needs.
    """

    id: int
    filters: tuple[str, ...] = ()
    source: str = ""
    keep: int = 2
    os: str = ""
    release: str = ""
    arches: tuple[str, ...] = ()
    subarches: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    bootloaders: bool = True


class Pin(msgspec.Struct, frozen=True):
    """A channel is kept from following its sources.

    With `version`: of each product that passes every one of `filters` (simplestreams filters on the
    product), only that version is published. Without: the whole channel is held where it is.
    """

    id: int
    channel: str
    version: str = ""
    filters: tuple[str, ...] = ()
    reason: str = ""
    at: datetime | None = None


class FileRef(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The blob behind a published path, and the boot source it came from ('' for our own files).

    `licence` is what one needs to have it (see `mirror.access.licences`; '': nothing, it is free).
    """

    sha256: str
    size: int
    source: str = ""
    licence: str = ""


class SourceState(msgspec.Struct, frozen=True):
    """What a snapshot took from one boot source: which stream, as of when.

    `updated` is the stream's own time (ISO 8601); `files` are the signed metadata files as they
    were received, by their path at the source: the evidence for every digest in the snapshot.
    """

    url: str
    updated: str
    fingerprint: str
    files: dict[str, FileRef]


class View(msgspec.Struct, frozen=True):
    """The metadata files that the holder of some licences sees, where everyone's list less.

    `variants` are as a snapshot's.
    """

    files: dict[str, FileRef]
    variants: dict[str, dict[str, FileRef]] = {}


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Every published path and the blob behind it, at one time.

    `variants` holds compressed forms of metadata files: path -> content coding -> blob. `products`
    is the blob that lists the products for the next sync; clients read the stream.
    `notes` says what a person should know about a product (`vanished upstream`), by product name.
    `files` has the metadata that everyone sees: it lists free products only. `views` has what is
    different for who may have others, by their licences (`proprietary+subscription`), one for each
    combination of those that there are.
    """

    format: str = "snapshot:1"
    created: datetime
    updated: datetime
    """The `updated` of every published metadata file: strictly increasing, whole seconds."""
    parent: str = ""
    sources: dict[str, SourceState] = {}
    files: dict[str, FileRef]
    variants: dict[str, dict[str, FileRef]] = {}
    views: dict[str, View] = {}
    products: FileRef | None = None
    notes: dict[str, list[str]] = {}


class Severity(StrEnum):
    """How bad a finding is. An `error` quarantines the version that has it."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(msgspec.Struct, frozen=True):
    """Something a check found: a stable `code`, `where` (path, product, item), and what it is."""

    severity: Severity
    code: str
    where: str
    message: str


class VersionFindings(msgspec.Struct, frozen=True):
    """What plugins found in one version of a product."""

    product: str
    version: str
    findings: tuple[Finding, ...]


class Switch(msgspec.Struct, frozen=True):
    """One entry of a channel's history: it was pointed at `snapshot` at `at`, because `reason`.

    `by` is who asked for it; `job` is the sync that did it (0: none). `origin` is set where the
    products of an older snapshot were published anew, as `snapshot`: it is that older one.
    """

    at: datetime
    snapshot: str
    previous: str
    reason: str
    by: str = ""
    origin: str = ""
    job: int = 0


class JobState(StrEnum):
    """Where a job is. The last five are final."""

    QUEUED = "queued"
    WAITING = "waiting"
    """For its turn: another sync runs."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    """Something was left out; the rest is published."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """Its process was stopped or killed before it was done, or the machine went down."""


class Progress(msgspec.Struct, frozen=True):
    """How far a job is. `rate` is in bytes per second; `eta` in seconds, None while unknown."""

    files: int = 0
    files_done: int = 0
    bytes: int = 0
    bytes_done: int = 0
    rate: float = 0.0
    eta: float | None = None


class Problem(msgspec.Struct, frozen=True):
    """An error as data, and what it is about: a boot source, or a version of a product."""

    about: str
    code: str
    what: str
    remedy: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A sync that was asked for. `reason` is `schedule` or `manual`; `by` is who asked.

    `options` are those of the sync, as JSON; `result` is what came of it, as JSON.
    """

    id: int = 0
    kind: str = "sync"
    state: JobState = JobState.QUEUED
    reason: str = "manual"
    by: str = ""
    options: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    progress: Progress = Progress()
    cancel: bool = False
    """Someone asked for its end."""
    process: str = ""
    """HOST:PID of the process that runs it."""
    result: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))
    error: Problem | None = None


class LogLine(msgspec.Struct, frozen=True):
    """A line of a job's log, numbered from 1. `level` is `info`, `warning` or `error`."""

    number: int
    at: datetime
    level: str
    message: str


class Schedule(msgspec.Struct, frozen=True):
    """When the mirror syncs by itself.

    Every `interval`, plus up to `jitter` at random. `allowed` and `quiet` are windows of local time
    such as `mon-fri 22:00-06:00` (no day: every day): outside the allowed ones (none: always
    allowed), or inside a quiet one, no sync starts.
    """

    enabled: bool = True
    interval: timedelta = timedelta(minutes=60)
    jitter: timedelta = timedelta(minutes=5)
    allowed: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()


class Role(StrEnum):
    """What the holder of a token may do; docs/access.md has the table."""

    ADMIN = "admin"
    OPERATOR = "operator"
    UPLOADER = "uploader"
    RACK = "rack"
    READER = "reader"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A credential. Its secret is shown once and stored as a hash only.

    `channels` limits it to those (empty: every channel). `licences` are those of images that are
    not free which its holder may have, where a channel allows them too; no role implies one.
    """

    id: str
    name: str
    role: Role
    channels: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    created_by: str = ""


class AuditEntry(msgspec.Struct, frozen=True):
    """A change that someone made: `before` and `after` are JSON, null where there was nothing."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    before: msgspec.Raw
    after: msgspec.Raw


class AvailableImage(msgspec.Struct, frozen=True):
    """A product that a boot source offers, as of the last sync that read it.

    `version` is the newest, of `bytes`; `digest` is of what its items are. `taken` is whether the
    channel has it from this source; `reason` says why not (not selected, a higher priority, no
    plugin, what went wrong). `findings` is what the plugin `judge` (`ubuntu=0.1.0`; '': none has
    looked) found in the newest version when it was fetched: also in one that it condemned.
    """

    source: str
    product: str
    os: str
    release: str
    arch: str
    subarch: str
    label: str
    title: str
    version: str
    bytes: int
    taken: bool
    reason: str = ""
    digest: str = ""
    judge: str = ""
    findings: tuple[Finding, ...] = ()


def utcnow() -> datetime:
    """Return the time, aware, to the second: no finer time is published anywhere."""
    return datetime.now(UTC).replace(microsecond=0)


def flatten(product: Product, version: Version, item: Item) -> Mapping[str, Any]:
    """Return every attribute that a simplestreams filter can name, the innermost level winning."""
    return {
        "content_id": product.content_id,
        **product.attributes,
        **version.attributes,
        **item.attributes,
        "ftype": item.ftype,
        "path": item.path,
        "sha256": item.sha256,
        "size": item.size,
        "product_name": product.name,
        "version_name": version.name,
        "item_name": item.name,
    }
