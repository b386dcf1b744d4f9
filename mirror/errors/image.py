"""A custom image: MIR-9xx."""

from __future__ import annotations

from mirror.errors.base import MirrorError


class ImageError(MirrorError, code="MIR-900", http_status=422):
    """A custom image can't be taken, built or delivered."""

    remedy = "See what the message names; docs/custom-images.md says what an image needs."


class ImageNotBuildable(ImageError, code="MIR-901"):
    """A file can't become the image that was asked for."""

    remedy = "See what the message names; docs/custom-images.md says what can be built from what."


class ImageNameRefused(ImageError, code="MIR-902", exit_status=2):
    """MAAS would not take an image by this name, of this type, or of this architecture."""

    remedy = "The rules are MAAS's: docs/custom-images.md has them. Choose another name or type."


class ImageTypeWrong(ImageError, code="MIR-903"):
    """A file is not of the type that was said, or of none that MAAS can deploy."""

    remedy = "Leave the type out, and it is found; or give the right file."


class ImageRefused(ImageError, code="MIR-904"):
    """What was found in an image says that it can't be deployed."""

    remedy = (
        "Mend the image: each finding says how. One that you know better is taken on by its code: "
        "--accept CODE."
    )


class ImageTooLarge(ImageError, code="MIR-905", http_status=413):
    """A file is larger than images may be, or than what is left of the quota."""

    remedy = (
        "Raise `images.max_size` or `images.quota` in mirror.toml, or remove images that are not "
        "needed any more: `mirror image list`."
    )


class ImageFileUnusable(ImageError, code="MIR-906", exit_status=2):
    """The file that is to become an image can't be read, or changes while it is."""

    remedy = "Give a plain file that nobody writes to."


class ImagePinned(ImageError, code="MIR-907", exit_status=2, http_status=409):
    """A version that a channel is pinned to is not to be removed."""

    remedy = "Remove the pin first: `mirror channel unpin`; `mirror channel list` shows them."


class LicenceFixed(ImageError, code="MIR-908", http_status=403):
    """A new version would change the licence of an image, and who brings it may not."""

    remedy = "Leave the licence out. An operator may change it: `mirror image set --licence`."


class UploadInvalid(ImageError, code="MIR-920", http_status=400):
    """A request of an upload is not as the tus protocol has it."""

    remedy = "Use a client that speaks tus 1.0, such as tuspy; docs/custom-images.md shows one."


class UploadWrong(ImageError, code="MIR-921"):
    """A whole upload is not the file that was announced."""

    remedy = "Check the file where it comes from, and begin the upload anew."


class OffsetConflict(ImageError, code="MIR-922", http_status=409):
    """An upload is not where its client thinks that it is."""

    remedy = "Ask where it is (HEAD), and go on from there; a tus client does so by itself."


class UploadOverflow(ImageError, code="MIR-923", http_status=413):
    """More bytes came than the upload was to have."""

    remedy = "The upload stays as it was: send what was declared, or begin anew."


class ChecksumMismatch(ImageError, code="MIR-924", http_status=460):
    """A piece of an upload is not what its checksum says."""

    remedy = "The piece was dropped: send it again."


class UploadDamaged(ImageError, code="MIR-925", http_status=410):
    """What was kept of an upload can't be read any more."""

    remedy = "Begin the upload anew."


class UploadLocked(ImageError, code="MIR-926", http_status=423):
    """Another request is adding to this upload."""

    remedy = "Wait until it has ended, ask where the upload is (HEAD), and go on from there."


class UploadVersion(ImageError, code="MIR-927", http_status=412):
    """A request of an upload speaks another version of the tus protocol."""

    remedy = "Use a client that speaks tus 1.0."


class UploadTypeWrong(ImageError, code="MIR-928", http_status=415):
    """The body of a request is not what tus sends."""

    remedy = "Use a client that speaks tus 1.0, such as tuspy; docs/custom-images.md shows one."


class UploadsTooMany(ImageError, code="MIR-929", http_status=429):
    """A token has as many uploads as it may have at a time."""

    remedy = "End those that were begun, or remove them (DELETE); age removes them, too."


class RegionRefused(ImageError, code="MIR-940", http_status=502):
    """A MAAS region refused an image.

    `status` is that of its answer.
    """

    remedy = (
        "MAAS's own words say why: a name that it reserves, a type that the operating system does "
        "not take, an architecture that it has no images for. `mirror image lint` knows the rules."
    )

    def __init__(self, what: str, *, status: int = 0, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.status = status


class ApiKeyInvalid(ImageError, code="MIR-941", http_status=502):
    """A MAAS region does not accept the API key."""

    remedy = (
        "Write what `maas apikey --username NAME` prints on the region into the key file, and "
        "check that both machines have the right time."
    )


class RegionAnswerInvalid(ImageError, code="MIR-942", http_status=502):
    """What answered is no MAAS region, or one that this mirror does not understand."""

    remedy = "Check the address: it ends in /MAAS, as in http://maas.example:5240/MAAS."


class UploadStuck(ImageError, code="MIR-943", http_status=502):
    """A region has a part of the image, and it can't be told which, or it is a wrong one."""

    remedy = (
        "Push again with --restart: that removes the image from the region, with its older "
        "versions, and uploads it from the beginning."
    )


class LicenceWithheld(ImageError, code="MIR-944", exit_status=2, http_status=403):
    """An image is not free to be passed on."""

    remedy = "If you may pass it on to that MAAS, say so with --include-licensed."
