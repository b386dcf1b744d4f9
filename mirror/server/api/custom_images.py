"""custom-images: the operator's own. They come in by /uploads; here they are shown and changed."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mirror.access.rights import Right
from mirror.errors import BodyInvalid, ImagePinned, NotFound
from mirror.images.declaration import Declaration
from mirror.images.records import CustomImage
from mirror.model import Licence
from mirror.server.api.inputs import Paged, Text, matching
from mirror.server.api.pages import Page, page
from mirror.server.api.route import Call, Route

T = TypeVar("T")

TAG = "custom-images"

_Word = Annotated[str, matching("[A-Za-z0-9][A-Za-z0-9._-]*", min_length=1, max_length=64)]
_PATH = "/custom-images/{os}/{release}/{arch}/{subarch}"


class ImageNamed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which image: rhel/9/amd64/generic; one whose name has no slash is of `custom`."""

    os: _Word
    release: _Word
    arch: _Word
    subarch: _Word


class ImageChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields to change; what is left out stays. A `keep` of 0 is what the settings say.

    With `publish`, channels follow at once.
    """

    title: Text | UnsetType = UNSET
    licence: Licence | UnsetType = UNSET
    keep: Annotated[int, Meta(ge=0, le=1000)] | UnsetType = UNSET
    publish: bool = True


class Removal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version to remove ('': all of the image), and whether channels follow at once."""

    version: Annotated[str, matching("[0-9.]*", max_length=20)] = ""
    publish: bool = True


class Published(msgspec.Struct, frozen=True):
    """The job that publishes."""

    job: int


def list_(call: Call) -> Page[CustomImage]:
    """Return the images."""
    return page(call.mirror.custom_images.list(), lambda each: each.product, call.query)


def show(call: Call) -> CustomImage:
    """Return one."""
    return call.mirror.custom_images.get(_named(call))


def update(call: Call) -> CustomImage:
    """Change one."""
    changes = call.body
    image = call.mirror.custom_images.update(
        _named(call),
        title=_given(changes.title),
        licence=_given(changes.licence),
        keep=_given(changes.keep),
        by=call.by,
    )
    if changes.publish:
        call.mirror.custom_images.queue_publish(by=call.by)
    return image


def remove(call: Call) -> None:
    """Remove one, or one version of it."""
    call.mirror.custom_images.remove(_named(call), call.query.version, by=call.by)
    if call.query.publish:
        call.mirror.custom_images.queue_publish(by=call.by)


def publish(call: Call) -> Published:
    """Bring the channel up to date with the images."""
    return Published(call.mirror.custom_images.queue_publish(by=call.by).id)


def _named(call: Call) -> Declaration:
    where = call.where
    return Declaration(os=where.os, release=where.release, arch=where.arch, subarch=where.subarch)


def _given(value: T | UnsetType) -> T | None:
    return None if value is UNSET else value


ROUTES = (
    Route(
        method="GET",
        path="/custom-images",
        right=Right.READ_STATE,
        handler=list_,
        summary="List the custom images, their versions, and what was found in each.",
        tag=TAG,
        query=Paged,
        returns=Page[CustomImage],
    ),
    Route(
        method="POST",
        path="/custom-images:publish",
        right=Right.OPERATE,
        handler=publish,
        summary="Bring the channel up to date with the custom images alone, as a job.",
        tag=TAG,
        returns=Published,
        status=202,
    ),
    Route(
        method="GET",
        path=_PATH,
        right=Right.READ_STATE,
        handler=show,
        summary="Show a custom image, its versions, and what was found in each.",
        tag=TAG,
        where=ImageNamed,
        returns=CustomImage,
        errors=(NotFound,),
    ),
    Route(
        method="PATCH",
        path=_PATH,
        right=Right.OPERATE,
        handler=update,
        summary="Change the title, the licence, or how many versions of an image are held.",
        tag=TAG,
        where=ImageNamed,
        body=ImageChanges,
        returns=CustomImage,
        current=show,
        errors=(NotFound, BodyInvalid),
    ),
    Route(
        method="DELETE",
        path=_PATH,
        right=Right.OPERATE,
        handler=remove,
        summary="Remove a custom image, or one version of it, from what is published next.",
        tag=TAG,
        where=ImageNamed,
        query=Removal,
        status=204,
        current=show,
        errors=(NotFound, ImagePinned),
    ),
)
