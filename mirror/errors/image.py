"""A custom image: MIR-9xx."""

from __future__ import annotations

from mirror.errors.base import MirrorError


class ImageError(MirrorError, code="MIR-900", http_status=422):
    """A custom image can't be taken, built or delivered."""

    remedy = "See what the message names; docs/custom-images.md says what an image needs."


class ImageNotBuildable(ImageError, code="MIR-901"):
    """A file can't become the image that was asked for."""

    remedy = "See what the message names; docs/custom-images.md says what can be built from what."


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
