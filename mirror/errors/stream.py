"""Metadata that is not what it should be: MIR-3xx."""

from __future__ import annotations

from mirror.errors.base import MirrorError


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
