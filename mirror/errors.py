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

    def __init__(self, what: str, *, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        if remedy:
            self.remedy = remedy

    def as_dict(self) -> dict[str, str]:
        """Return the error as JSON-ready values."""
        return {"code": self.code, "what": self.what, "remedy": self.remedy}


# --- the command, the settings, the data directory ------------------------------------------------


class UsageProblem(MirrorError):
    """The command was called with something that can't work."""

    code = "MIR-100"
    exit_status = 2
    http_status = 400
    remedy = "Run the command with --help for what it takes."


class SettingsInvalid(UsageProblem):
    """mirror.toml or a MIRROR_* variable has a key or value that is not understood."""

    code = "MIR-101"
    remedy = "Correct the key or value that is named; docs/operators.md lists all of them."


class NotInitialised(UsageProblem):
    """The data directory has not been made yet."""

    code = "MIR-102"
    exit_status = 1
    remedy = "Run `mirror init`, or give the right directory with --data-dir."


class DataDirNotOurs(UsageProblem):
    """The data directory holds files that are not a mirror's."""

    code = "MIR-103"
    exit_status = 1
    remedy = "Give an empty directory, or one that `mirror init` made."


class DataDirNotWritable(UsageProblem):
    """The data directory can't be written by this user."""

    code = "MIR-104"
    exit_status = 1
    remedy = "Give the directory to the user that runs the mirror (chown), or use another one."


class FilterInvalid(UsageProblem):
    """A simplestreams filter can't be read."""

    code = "MIR-105"
    remedy = "Write it as KEY=VALUE, KEY!=VALUE, KEY~REGEX or KEY!~REGEX ('release~(jammy|noble)')."


class NotFound(UsageProblem):
    """No such source, selection, snapshot or channel."""

    code = "MIR-106"
    exit_status = 1
    http_status = 404
    remedy = "List what there is with the `list` verb of the same noun."


class AlreadyExists(UsageProblem):
    """There is one of that name already."""

    code = "MIR-107"
    exit_status = 1
    http_status = 409
    remedy = "Choose another name, or remove the old one first."


class NothingSelected(UsageProblem):
    """There is nothing to sync: no boot source or no selection."""

    code = "MIR-108"
    exit_status = 1
    remedy = "Add a source (`mirror source add`) and say what to take (`mirror select add`)."


class NameInvalid(UsageProblem):
    """A name that can't be used for a source, channel or snapshot."""

    code = "MIR-109"
    remedy = "Use letters, digits, '.', '_' and '-', beginning with a letter or digit; 64 at most."


class GpgMissing(UsageProblem):
    """GnuPG can't be run."""

    code = "MIR-110"
    exit_status = 1
    http_status = 500
    remedy = "Install GnuPG (`apt install gnupg`); `gpg --version` must work for this user."


# --- integrity ------------------------------------------------------------------------------------


class IntegrityError(MirrorError):
    """Something is not what a signature or digest says it is."""

    code = "MIR-200"
    exit_status = 4
    http_status = 502
    remedy = "Nothing was published. Find out who changed the data before trying again."


class KeyringMissing(IntegrityError):
    """The keyring file of a source can't be read."""

    code = "MIR-201"
    exit_status = 1
    remedy = (
        "Install it (Ubuntu's: package ubuntu-keyring, file "
        "/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg) or give its path with --keyring."
    )


class KeyringInvalid(IntegrityError):
    """The keyring file holds no OpenPGP public key."""

    code = "MIR-202"
    exit_status = 1
    remedy = "Give a file that `gpg --export` (binary) or `gpg --armor --export` wrote."


class Unsigned(IntegrityError):
    """The file carries no signature, and its source must be signed."""

    code = "MIR-203"
    remedy = (
        "Use the signed address of the stream (.sjson). Only if you accept unsigned images, "
        "add the source with --trust none."
    )


class SignatureInvalid(IntegrityError):
    """The signature is not good, or the file holds more than one signed text."""

    code = "MIR-204"
    remedy = (
        "Nothing was published. A proxy may have altered the file: fetch it by hand and run "
        "`gpgv --keyring KEYRING FILE`."
    )


class KeyNotTrusted(IntegrityError):
    """The signature is by a key that this source does not trust."""

    code = "MIR-205"
    remedy = (
        "Check with the publisher whether the key changed; if it did, replace the source's "
        "keyring and fingerprints."
    )


class KeyExpired(IntegrityError):
    """The signing key has expired or was revoked."""

    code = "MIR-206"
    remedy = "Get the publisher's current keyring and set it with `mirror source set --keyring`."


class Rollback(IntegrityError):
    """The source offers metadata that is older than what it offered before."""

    code = "MIR-207"
    remedy = (
        "The last good snapshot stays published. If the publisher really went back, accept it "
        "once with `mirror sync --accept-rollback`."
    )


class Equivocation(IntegrityError):
    """Two different files of a source claim the same time."""

    code = "MIR-208"
    remedy = "The last good snapshot stays published. Ask the publisher; a newer stream clears it."


class Stale(IntegrityError):
    """The source's metadata is older than its max_staleness allows."""

    code = "MIR-209"
    remedy = (
        "The publisher, or something between, stopped updating it. Check the URL; raise "
        "--max-staleness if the stream is meant to be old."
    )


class FromTheFuture(IntegrityError):
    """Metadata is dated more than a day ahead."""

    code = "MIR-210"
    remedy = "Check this machine's clock (timedatectl). If it is right, ask the publisher."


class MetadataMismatch(IntegrityError):
    """The index and a products file do not belong together."""

    code = "MIR-211"
    remedy = "The publisher may be in the middle of an update: try again in a few minutes."


class DigestMismatch(IntegrityError):
    """A file's bytes do not have the signed sha256."""

    code = "MIR-212"
    remedy = (
        "Its version was left out. A proxy or the publisher's disk may be damaged; the next sync "
        "tries again."
    )


class SizeMismatch(IntegrityError):
    """A file is longer or shorter than its signed size."""

    code = "MIR-213"
    remedy = "Its version was left out; the next sync tries again."


class BlobCorrupt(IntegrityError):
    """A stored file no longer has the digest in its name."""

    code = "MIR-214"
    remedy = "Run `mirror verify --repair`; check the disk (smartctl) if it happens again."


class SnapshotInvalid(IntegrityError):
    """A snapshot's file is damaged, or its signature is not by this mirror's key."""

    code = "MIR-215"
    remedy = "Point the channel at another snapshot (`mirror channel rollback`), then sync again."


class SigningFailed(IntegrityError):
    """The mirror's own key is missing, or can't sign this."""

    code = "MIR-216"
    exit_status = 1
    http_status = 500
    remedy = "Nothing was published. Check that the data directory's gnupg/ is whole and readable."


# --- metadata -------------------------------------------------------------------------------------


class StreamError(MirrorError):
    """The stream's metadata can't be used."""

    code = "MIR-300"
    http_status = 502
    remedy = "Check that the URL is that of a simplestreams stream; ask its publisher."


class NotJson(StreamError):
    """The file is not JSON."""

    code = "MIR-301"
    remedy = "Check the URL: a login page or a captive portal often answers in place of the stream."


class MetadataInvalid(StreamError):
    """A required field is missing or has the wrong type."""

    code = "MIR-302"


class MetadataTooLarge(StreamError):
    """The file, or what it lists, is larger than the limits allow."""

    code = "MIR-303"
    remedy = "Check the URL. Limits: see docs/operators.md, section Limits."


class UnsafePath(StreamError):
    """A path that could leave the mirror, or that clients read differently."""

    code = "MIR-304"
    remedy = (
        "The version was left out. Tell the publisher: paths are relative, with no '..' or ':'."
    )


class PathConflict(StreamError):
    """Two items claim one path with different content."""

    code = "MIR-305"
    remedy = "Both versions were left out. Tell the publisher: a path names one content for ever."


class DigestMissing(StreamError):
    """An item has no usable sha256 or size."""

    code = "MIR-306"
    remedy = "The version was left out. Tell the publisher: MAAS needs sha256 and size too."


class StreamRefusedByMaas(StreamError):
    """What would be published breaks a rule of MAAS."""

    code = "MIR-307"
    exit_status = 1
    remedy = "Nothing was published. Leave out the product that is named, and report this."


# --- the network and the boot source --------------------------------------------------------------


class FetchError(MirrorError):
    """A file could not be fetched."""

    code = "MIR-400"
    http_status = 502
    remedy = "Try again; what was fetched so far is kept and resumed."


class Unreachable(FetchError):
    """No connection to the boot source."""

    code = "MIR-401"
    remedy = "Check the URL, DNS, firewall and proxy of the source; `curl -v URL` shows the cause."


class HttpStatus(FetchError):
    """The boot source answered with an error.

    `retry_after` is how many seconds the source asked us to wait, if it did.
    """

    code = "MIR-402"
    remedy = "Check the URL and credentials of the source; a 5xx usually passes by itself."

    def __init__(
        self, what: str, *, status: int = 0, retry_after: float | None = None, remedy: str = ""
    ) -> None:
        super().__init__(what, remedy=remedy)
        self.status = status
        self.retry_after = retry_after


class Stalled(FetchError):
    """No bytes, or too few, came for too long."""

    code = "MIR-403"
    remedy = "Try again; what was fetched so far is kept and resumed."


class Truncated(FetchError):
    """The connection closed before the whole file had come."""

    code = "MIR-404"
    remedy = "Try again; what was fetched so far is kept and resumed."


class TooManyRedirects(FetchError):
    """The boot source redirects in circles."""

    code = "MIR-405"
    remedy = "Use the final address as the source's URL."


class TlsFailed(FetchError):
    """The TLS certificate of the source or proxy is not trusted."""

    code = "MIR-406"
    remedy = "Give the CA certificate with --ca-file, or check the name in the URL."


class Cancelled(FetchError):
    """It was stopped by a person."""

    code = "MIR-407"
    exit_status = 130
    remedy = "Run it again: it resumes where it stopped."


# --- the disk -------------------------------------------------------------------------------------


class StoreError(MirrorError):
    """The data directory failed."""

    code = "MIR-500"
    remedy = "Check the disk and its mount; nothing that is published was changed."


class NoSpace(StoreError):
    """Not enough free space for what is planned."""

    code = "MIR-501"
    http_status = 507
    remedy = "Select less, run `mirror gc`, or enlarge the disk; nothing published was changed."


class Busy(StoreError):
    """Another process is syncing or cleaning this data directory."""

    code = "MIR-502"
    http_status = 409
    remedy = "Wait for it, or stop it first."


class BlobMissing(StoreError):
    """A file that a snapshot names is not in the store."""

    code = "MIR-503"
    http_status = 404
    remedy = "Run `mirror verify --repair` to fetch it again."


class SnapshotInUse(StoreError):
    """A channel still answers for the snapshot that was to be removed."""

    code = "MIR-504"
    http_status = 409
    remedy = "Point the channel at another one first; wait until the grace period has passed."


# --- plugins --------------------------------------------------------------------------------------


class PluginError(MirrorError):
    """A plugin failed."""

    code = "MIR-600"
    remedy = "Its products keep their last good versions. Report it to the plugin's author."


class PluginBroken(PluginError):
    """A plugin could not be loaded."""

    code = "MIR-601"
    remedy = "Run `mirror plugin list`; reinstall, upgrade or block the plugin that is named."


class ClaimConflict(PluginError):
    """Two plugins claim the same product."""

    code = "MIR-602"
    remedy = 'Block one of the two in mirror.toml: [plugins] block = ["NAME"].'


class ValidationFailed(PluginError):
    """A plugin found that a version's files are not what they should be."""

    code = "MIR-603"
    exit_status = 3
    remedy = "The version was left out and the last good one is kept; see the findings."


# --- the server -----------------------------------------------------------------------------------


class ServeError(MirrorError):
    """The server could not start or go on."""

    code = "MIR-700"
    remedy = "See the log for the cause."


class PortInUse(ServeError):
    """Another program listens on that port."""

    code = "MIR-701"
    remedy = "Choose another with --port, or stop the program that has it (`ss -ltnp`)."


class AddressUnusable(ServeError):
    """The address can't be listened on."""

    code = "MIR-702"
    remedy = "Give an address of this machine with --host; ports below 1024 need privileges."
