"""Every error that a person can meet: one tree, each with a code, a remedy and an exit status.

    MirrorError                      MIR-000
    ├── UsageProblem                 MIR-1xx  the command, the settings or the data directory
    ├── IntegrityError               MIR-2xx  a signature, a digest or a rollback check refused
    ├── StreamError                  MIR-3xx  metadata that is not what it should be
    ├── FetchError                   MIR-4xx  the network and the boot source
    ├── StoreError                   MIR-5xx  the disk
    ├── PluginError                  MIR-6xx  a plugin
    └── ServeError                   MIR-7xx  the server

An instance says what happened, to which thing; `remedy` says what to do next. `docs/errors.md` is
generated from this file.
"""

from __future__ import annotations

from typing import ClassVar


class MirrorError(Exception):
    """Something went wrong that has no class of its own."""

    code: ClassVar[str] = "MIR-000"
    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    remedy: str = "Run the command again with --verbose and report what it prints."

    def __init_subclass__(
        cls, *, code: str = "", exit_status: int = 0, http_status: int = 0
    ) -> None:
        super().__init_subclass__()
        cls.code = code or cls.code
        cls.exit_status = exit_status or cls.exit_status
        cls.http_status = http_status or cls.http_status

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        if remedy:
            self.remedy = remedy

    def as_dict(self) -> dict[str, str]:
        """Return the error as JSON-ready values."""
        return {"code": self.code, "what": self.what, "remedy": self.remedy}


# --- the command, the settings, the data directory ------------------------------------------------


class UsageProblem(MirrorError, code="MIR-100", exit_status=2, http_status=400):
    """The command was called with something that can't work."""

    remedy = "Run the command with --help for what it takes."


class SettingsInvalid(UsageProblem, code="MIR-101"):
    """mirror.toml or a MIRROR_* variable has a key or value that is not understood."""

    remedy = "Correct the key or value that is named; docs/operators.md lists all of them."


class NotInitialised(UsageProblem, code="MIR-102", exit_status=1):
    """The data directory has not been made yet."""

    remedy = "Run `mirror init`, or give the right directory with --data-dir."


class DataDirNotOurs(UsageProblem, code="MIR-103", exit_status=1):
    """The data directory holds files that are not a mirror's."""

    remedy = "Give an empty directory, or one that `mirror init` made."


class DataDirNotWritable(UsageProblem, code="MIR-104", exit_status=1):
    """The data directory can't be written by this user."""

    remedy = "Give the directory to the user that runs the mirror (chown), or use another one."


class FilterInvalid(UsageProblem, code="MIR-105"):
    """A simplestreams filter can't be read."""

    remedy = "Write it as KEY=VALUE, KEY!=VALUE, KEY~REGEX or KEY!~REGEX ('release~(jammy|noble)')."


class NotFound(UsageProblem, code="MIR-106", exit_status=1, http_status=404):
    """No such source, selection, snapshot or channel."""

    remedy = "List what there is with the `list` verb of the same noun."


class AlreadyExists(UsageProblem, code="MIR-107", exit_status=1, http_status=409):
    """There is one of that name already."""

    remedy = "Choose another name, or remove the old one first."


class NothingSelected(UsageProblem, code="MIR-108", exit_status=1):
    """There is nothing to sync: no boot source or no selection."""

    remedy = "Add a source (`mirror source add`) and say what to take (`mirror select add`)."


class NameInvalid(UsageProblem, code="MIR-109"):
    """A name that can't be used for a source, channel or snapshot."""

    remedy = "Use letters, digits, '.', '_' and '-', beginning with a letter or digit; 64 at most."


class GpgMissing(UsageProblem, code="MIR-110", exit_status=1, http_status=500):
    """GnuPG can't be run."""

    remedy = "Install GnuPG (`apt install gnupg`); `gpg --version` must work for this user."


# --- integrity ------------------------------------------------------------------------------------


class IntegrityError(MirrorError, code="MIR-200", exit_status=4, http_status=502):
    """Something is not what a signature or digest says it is."""

    remedy = "Nothing was published. Find out who changed the data before trying again."


class KeyringMissing(IntegrityError, code="MIR-201", exit_status=1):
    """The keyring file of a source can't be read."""

    remedy = (
        "Install the package that has the publisher's keyring (its documentation names it), or "
        "give the keyring's path with --keyring."
    )


class KeyringInvalid(IntegrityError, code="MIR-202", exit_status=1):
    """The keyring file holds no OpenPGP public key."""

    remedy = "Give a file that `gpg --export` (binary) or `gpg --armor --export` wrote."


class Unsigned(IntegrityError, code="MIR-203"):
    """The file carries no signature, and its source must be signed."""

    remedy = (
        "Use the signed address of the stream (.sjson). Only if you accept unsigned images, "
        "add the source with --trust none."
    )


class SignatureInvalid(IntegrityError, code="MIR-204"):
    """The signature is not good, or the file holds more than one signed text."""

    remedy = (
        "Nothing was published. A proxy may have altered the file: fetch it by hand and run "
        "`gpgv --keyring KEYRING FILE`."
    )


class KeyNotTrusted(IntegrityError, code="MIR-205"):
    """The signature is by a key that this source does not trust."""

    remedy = (
        "Check with the publisher whether the key changed; if it did, replace the source's "
        "keyring and fingerprints."
    )


class KeyExpired(IntegrityError, code="MIR-206"):
    """The signing key has expired or was revoked."""

    remedy = "Get the publisher's current keyring and set it with `mirror source set --keyring`."


class Rollback(IntegrityError, code="MIR-207"):
    """The source offers metadata that is older than what it offered before."""

    remedy = (
        "The last good snapshot stays published. If the publisher really went back, accept it "
        "once with `mirror sync --accept-rollback`."
    )


class Equivocation(IntegrityError, code="MIR-208"):
    """Two different files of a source claim the same time."""

    remedy = "The last good snapshot stays published. Ask the publisher; a newer stream clears it."


class Stale(IntegrityError, code="MIR-209"):
    """The source's metadata is older than its max_staleness allows."""

    remedy = (
        "The publisher, or something between, stopped updating it. Check the URL; raise "
        "--max-staleness if the stream is meant to be old."
    )


class FromTheFuture(IntegrityError, code="MIR-210"):
    """Metadata is dated more than a day ahead."""

    remedy = "Check this machine's clock (timedatectl). If it is right, ask the publisher."


class MetadataMismatch(IntegrityError, code="MIR-211"):
    """The index and a products file do not belong together."""

    remedy = "The publisher may be in the middle of an update: try again in a few minutes."


class DigestMismatch(IntegrityError, code="MIR-212"):
    """A file's bytes do not have the signed sha256."""

    remedy = (
        "Its version was left out. A proxy or the publisher's disk may be damaged; the next sync "
        "tries again."
    )


class SizeMismatch(IntegrityError, code="MIR-213"):
    """A file is longer or shorter than its signed size."""

    remedy = "Its version was left out; the next sync tries again."


class BlobCorrupt(IntegrityError, code="MIR-214"):
    """A stored file no longer has the digest in its name."""

    remedy = "Run `mirror verify --repair`; check the disk (smartctl) if it happens again."


class SnapshotInvalid(IntegrityError, code="MIR-215"):
    """A snapshot's file is damaged, or its signature is not by this mirror's key."""

    remedy = "Point the channel at another snapshot (`mirror channel rollback`), then sync again."


class SigningFailed(IntegrityError, code="MIR-216", exit_status=1, http_status=500):
    """The mirror's own key is missing, or can't sign this."""

    remedy = "Nothing was published. Check that the data directory's gnupg/ is whole and readable."


# --- metadata -------------------------------------------------------------------------------------


class StreamError(MirrorError, code="MIR-300", http_status=502):
    """The stream's metadata can't be used."""

    remedy = "Check that the URL is that of a simplestreams stream; ask its publisher."


class NotJson(StreamError, code="MIR-301"):
    """The file is not JSON."""

    remedy = "Check the URL: a login page or a captive portal often answers in place of the stream."


class MetadataInvalid(StreamError, code="MIR-302"):
    """A required field is missing or has the wrong type."""


class MetadataTooLarge(StreamError, code="MIR-303"):
    """The file, or what it lists, is larger than the limits allow."""

    remedy = "Check the URL. Limits: see docs/operators.md, section Limits."


class UnsafePath(StreamError, code="MIR-304"):
    """A path that could leave the mirror, or that clients read differently."""

    remedy = (
        "The version was left out. Tell the publisher: paths are relative, with no '..' or ':'."
    )


class PathConflict(StreamError, code="MIR-305"):
    """Two items claim one path with different content."""

    remedy = "Both versions were left out. Tell the publisher: a path names one content for ever."


class DigestMissing(StreamError, code="MIR-306"):
    """An item has no usable sha256 or size."""

    remedy = "The version was left out. Tell the publisher: MAAS needs sha256 and size too."


class StreamRefusedByMaas(StreamError, code="MIR-307", exit_status=1):
    """What would be published breaks a rule of MAAS."""

    remedy = "Nothing was published. Leave out the product that is named, and report this."


# --- the network and the boot source --------------------------------------------------------------


class FetchError(MirrorError, code="MIR-400", http_status=502):
    """A file could not be fetched."""

    remedy = "Try again; what was fetched so far is kept and resumed."


class Unreachable(FetchError, code="MIR-401"):
    """No connection to the boot source."""

    remedy = "Check the URL, DNS, firewall and proxy of the source; `curl -v URL` shows the cause."


class HttpStatus(FetchError, code="MIR-402"):
    """The boot source answered with an error.

    `retry_after` is how many seconds the source asked us to wait, if it did.
    """

    remedy = "Check the URL and credentials of the source; a 5xx usually passes by itself."

    def __init__(
        self, what: str, *, status: int = 0, retry_after: float | None = None, remedy: str = ""
    ) -> None:
        super().__init__(what, remedy=remedy)
        self.status = status
        self.retry_after = retry_after


class Stalled(FetchError, code="MIR-403"):
    """No bytes, or too few, came for too long."""

    remedy = "Try again; what was fetched so far is kept and resumed."


class Truncated(FetchError, code="MIR-404"):
    """The connection closed before the whole file had come."""

    remedy = "Try again; what was fetched so far is kept and resumed."


class TooManyRedirects(FetchError, code="MIR-405"):
    """The boot source redirects in circles."""

    remedy = "Use the final address as the source's URL."


class TlsFailed(FetchError, code="MIR-406"):
    """The TLS certificate of the source or proxy is not trusted."""

    remedy = "Give the CA certificate with --ca-file, or check the name in the URL."


class Cancelled(FetchError, code="MIR-407", exit_status=130):
    """It was stopped by a person."""

    remedy = "Run it again: it resumes where it stopped."


# --- the disk -------------------------------------------------------------------------------------


class StoreError(MirrorError, code="MIR-500"):
    """The data directory failed."""

    remedy = "Check the disk and its mount; nothing that is published was changed."


class NoSpace(StoreError, code="MIR-501", http_status=507):
    """Not enough free space for what is planned."""

    remedy = "Select less, run `mirror gc`, or enlarge the disk; nothing published was changed."


class Busy(StoreError, code="MIR-502", http_status=409):
    """Another process is syncing or cleaning this data directory."""

    remedy = "Wait for it, or stop it first."


class BlobMissing(StoreError, code="MIR-503", http_status=404):
    """A file that a snapshot names is not in the store."""

    remedy = "Run `mirror verify --repair` to fetch it again."


class SnapshotInUse(StoreError, code="MIR-504", http_status=409):
    """A channel still answers for the snapshot that was to be removed."""

    remedy = "Point the channel at another one first; wait until the grace period has passed."


# --- plugins --------------------------------------------------------------------------------------


class PluginError(MirrorError, code="MIR-600"):
    """A plugin failed."""

    remedy = "Its products keep their last good versions. Report it to the plugin's author."


class PluginBroken(PluginError, code="MIR-601"):
    """A plugin could not be loaded."""

    remedy = "Run `mirror plugin list`; reinstall, upgrade or block the plugin that is named."


class ClaimConflict(PluginError, code="MIR-602"):
    """Two plugins claim the same product."""

    remedy = 'Block one of the two in mirror.toml: [plugins] block = ["NAME"].'


class ValidationFailed(PluginError, code="MIR-603", exit_status=3):
    """A plugin found that a version's files are not what they should be."""

    remedy = "The version was left out and the last good one is kept; see the findings."


# --- the server -----------------------------------------------------------------------------------


class ServeError(MirrorError, code="MIR-700"):
    """The server could not start or go on."""

    remedy = "See the log for the cause."


class PortInUse(ServeError, code="MIR-701"):
    """Another program listens on that port."""

    remedy = "Choose another with --port, or stop the program that has it (`ss -ltnp`)."


class AddressUnusable(ServeError, code="MIR-702"):
    """The address can't be listened on."""

    remedy = "Give an address of this machine with --host; ports below 1024 need privileges."
