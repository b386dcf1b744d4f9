"""A signature, a digest or a rollback check refused: MIR-2xx."""

from __future__ import annotations

from mirror.errors.base import MirrorError


class IntegrityError(MirrorError, code="MIR-200", exit_status=4, http_status=502):
    """Something is not what a signature or digest says it is."""

    remedy = "Nothing was published. Find out who changed the data before trying again."


class KeyringMissing(IntegrityError, code="MIR-201", exit_status=1, http_status=422):
    """The keyring file of a source can't be read."""

    remedy = (
        "Install the package that has the publisher's keyring (its documentation names it), or "
        "give the keyring's path with --keyring."
    )


class KeyringInvalid(IntegrityError, code="MIR-202", exit_status=1, http_status=422):
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


class KeyNotKnown(IntegrityError, code="MIR-217", exit_status=1):
    """A key was named by its fingerprint alone, and no keyring that the mirror knows has it."""

    remedy = "Give the keyring that has the key: --keyring FILE, or --keyring-data TEXT."


class ManifestUnreadable(IntegrityError, code="MIR-220", exit_status=1, http_status=422):
    """The list of packages of an image is not one that can be read."""

    remedy = (
        "The image itself may be good: only the comparison of packages needs the list. Tell its "
        "publisher, or the author of the plugin that reads it."
    )
