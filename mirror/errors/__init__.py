"""Every error that a person can meet: one tree, each with a code, a remedy and an exit status.

    MirrorError                      MIR-000
    ├── UsageProblem                 MIR-1xx  the command, the settings or the data directory
    ├── IntegrityError               MIR-2xx  a signature, a digest or a rollback check refused
    ├── StreamError                  MIR-3xx  metadata that is not what it should be
    ├── FetchError                   MIR-4xx  the network and the boot source
    ├── StoreError                   MIR-5xx  the disk
    ├── PluginError                  MIR-6xx  a plugin
    ├── ServeError                   MIR-7xx  the server
    └── AccessDenied                 MIR-8xx  who may do what

An instance says what happened, to which thing; `remedy` says what to do next. `docs/errors.md` is
generated from the classes of this package.
"""

from __future__ import annotations

from mirror.errors.access import (
    AccessDenied,
    ChannelNotAllowed,
    CrossOrigin,
    RoleInsufficient,
    TokenRequired,
    TooManyAttempts,
)
from mirror.errors.base import (
    MirrorError,
)
from mirror.errors.fetch import (
    Cancelled,
    FetchError,
    HttpStatus,
    Stalled,
    TlsFailed,
    TooManyRedirects,
    Truncated,
    Unreachable,
)
from mirror.errors.integrity import (
    BlobCorrupt,
    DigestMismatch,
    Equivocation,
    FromTheFuture,
    IntegrityError,
    KeyExpired,
    KeyNotTrusted,
    KeyringInvalid,
    KeyringMissing,
    MetadataMismatch,
    Rollback,
    SignatureInvalid,
    SigningFailed,
    SizeMismatch,
    SnapshotInvalid,
    Stale,
    Unsigned,
)
from mirror.errors.plugin import (
    ClaimConflict,
    PluginBroken,
    PluginError,
    ValidationFailed,
)
from mirror.errors.server import (
    AddressUnusable,
    BodyTooLarge,
    ContentTypeUnsupported,
    MethodNotAllowed,
    MirrorUnavailable,
    NoSuchRoute,
    JobInterrupted,
    JobNotStarted,
    PortInUse,
    ServeError,
    TlsInvalid,
    TooManyStreams,
)
from mirror.errors.store import (
    BlobMissing,
    Busy,
    NoSpace,
    SnapshotInUse,
    StoreError,
)
from mirror.errors.stream import (
    DigestMissing,
    MetadataInvalid,
    MetadataTooLarge,
    NotJson,
    PathConflict,
    StreamError,
    StreamRefusedByMaas,
    UnsafePath,
)
from mirror.errors.usage import (
    AlreadyExists,
    BodyInvalid,
    ChannelHeld,
    DataDirNotOurs,
    DataDirNotWritable,
    FilterInvalid,
    GpgMissing,
    NameInvalid,
    NotCancellable,
    NotFound,
    NothingSelected,
    NotInitialised,
    PreconditionFailed,
    ScheduleInvalid,
    SettingsInvalid,
    UsageProblem,
    VersionNotHere,
    WindowInvalid,
    WouldDropTooMuch,
)

__all__ = [
    "AccessDenied",
    "AddressUnusable",
    "AlreadyExists",
    "BlobCorrupt",
    "BlobMissing",
    "BodyInvalid",
    "BodyTooLarge",
    "Busy",
    "Cancelled",
    "ChannelHeld",
    "ChannelNotAllowed",
    "ClaimConflict",
    "CrossOrigin",
    "ContentTypeUnsupported",
    "DataDirNotOurs",
    "DataDirNotWritable",
    "DigestMismatch",
    "DigestMissing",
    "Equivocation",
    "FetchError",
    "FilterInvalid",
    "FromTheFuture",
    "GpgMissing",
    "HttpStatus",
    "IntegrityError",
    "JobInterrupted",
    "JobNotStarted",
    "KeyExpired",
    "KeyNotTrusted",
    "KeyringInvalid",
    "KeyringMissing",
    "MetadataInvalid",
    "MetadataMismatch",
    "MetadataTooLarge",
    "MethodNotAllowed",
    "MirrorError",
    "MirrorUnavailable",
    "NameInvalid",
    "NoSpace",
    "NoSuchRoute",
    "NotCancellable",
    "NotFound",
    "NotInitialised",
    "NotJson",
    "NothingSelected",
    "PathConflict",
    "PluginBroken",
    "PluginError",
    "PortInUse",
    "PreconditionFailed",
    "RoleInsufficient",
    "Rollback",
    "ScheduleInvalid",
    "ServeError",
    "SettingsInvalid",
    "SignatureInvalid",
    "SigningFailed",
    "SizeMismatch",
    "SnapshotInUse",
    "SnapshotInvalid",
    "Stale",
    "Stalled",
    "StoreError",
    "StreamError",
    "StreamRefusedByMaas",
    "TlsFailed",
    "TlsInvalid",
    "TokenRequired",
    "TooManyAttempts",
    "TooManyRedirects",
    "TooManyStreams",
    "Truncated",
    "Unreachable",
    "UnsafePath",
    "Unsigned",
    "UsageProblem",
    "ValidationFailed",
    "VersionNotHere",
    "WindowInvalid",
    "WouldDropTooMuch",
]
