"""Deliver custom images to MAAS regions.

For disk images, and for images of os custom, that is the only road into MAAS 3.7 and newer.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  (msgspec looks at it)
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import LicenceWithheld, RegionRefused
from mirror.formats import upload_type
from mirror.images.declaration import Wanted, declared
from mirror.model import Licence
from mirror.push.upload import Delivered, Outgoing

if TYPE_CHECKING:
    from mirror.images.records import CustomImage
    from mirror.service.mirror import Mirror
    from mirror.sync.events import Emit


class PushOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What to deliver, and where.

    `name` and `arch` are those of the image (`rhel/9`, `amd64/generic`); a `version` of '' is the
    newest. `maas` is the
    address of the region, `key_file` has its API key. With `restart`, what the region has of the
    image is removed first; with `licensed`, an image that is not free may go.
    """

    name: str
    arch: str
    maas: str
    key_file: Path
    version: str = ""
    ca_file: Path | None = None
    keep_old: bool = False
    restart: bool = False
    licensed: bool = False


class Pushing:
    """Deliveries of one mirror's images."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    async def push(self, order: PushOrder, emit: Emit, *, by: str) -> Delivered:
        """Bring a version of an image to a region, unless it is there.

        Raises `NotFound`, `LicenceWithheld`, `SourceInvalid` for an address or a file that can't be
        used, and what `mirror.push.upload.upload` does.
        """
        import asyncio

        from mirror.push.oauth import parse_key
        from mirror.push.region import open_region
        from mirror.push.upload import upload
        from mirror.sync.secrets import read_secret

        outgoing, file = await asyncio.to_thread(self._outgoing, order)
        secret = read_secret(order.maas, "key file", str(order.key_file))
        settings = self._mirror.settings.sync
        async with open_region(
            order.maas,
            parse_key(secret),
            ca_file=order.ca_file,
            stall=settings.stall_timeout.total_seconds(),
        ) as region:
            done = await upload(
                region, outgoing, file, emit, attempts=settings.attempts, restart=order.restart
            )
            subject = f"{outgoing.name} to {region.api.origin()}"
        after = {"version": done.version, "sha256": outgoing.sha256, "sent": done.sent}
        await asyncio.to_thread(self._record, by, subject, after)
        return done

    def _record(self, by: str, subject: str, after: dict[str, object]) -> None:
        self._mirror.catalog.audit.record(by, "push", subject, None, after)

    def _outgoing(self, order: PushOrder) -> tuple[Outgoing, Path]:
        """Return what is to go, and where it is."""
        image = self._mirror.custom_images.get(declared(Wanted(name=order.name, arch=order.arch)))
        _check_licence(image, licensed=order.licensed)
        version = image.version(order.version) if order.version else image.versions[-1]
        return outgoing_of(image, version.name, keep_old=order.keep_old), (
            self._mirror.store.blobs.path(version.root.sha256)
        )


def outgoing_of(image: CustomImage, version: str, *, keep_old: bool) -> Outgoing:
    """Return a version as MAAS's API is told of it.

    Raises `RegionRefused` for a type that it does not take.
    """
    declaration, root = image.declaration, image.version(version).root
    filetype = upload_type(declaration.ftype)
    if not filetype:
        raise RegionRefused(
            f"{declaration.name}: MAAS takes no {declaration.ftype} over its API",
            remedy="Add the image as a root-tgz or as a disk image, and push that.",
        )
    return Outgoing(
        name=declaration.name,
        architecture=f"{declaration.arch}/{declaration.subarch}",
        sha256=root.sha256,
        size=root.size,
        filetype=filetype,
        title=declaration.title,
        base_image=declaration.base_image,
        keep_old=keep_old,
    )


def _check_licence(image: CustomImage, *, licensed: bool) -> None:
    licence = image.declaration.licence
    if licence is not Licence.FREE and not licensed:
        name = image.declaration.name
        raise LicenceWithheld(f"{name} is {licence.value}: it is not delivered unless you say so")
