"""available-images: what the boot sources offer. boot-resources: what a channel publishes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec

from mirror.access.rights import Right
from mirror.errors import NotFound, NothingSelected
from mirror.model import AvailableImage, Problem
from mirror.server.api.inputs import TEXT_FORM, Name, Paged, matching, unsaid
from mirror.server.api.pages import Page
from mirror.server.api.route import Call, Route
from mirror.sync.resources import BootResource

_Exactly = Annotated[str, matching(TEXT_FORM, max_length=200)]


class ImagesWanted(Paged, frozen=True, forbid_unknown_fields=True):
    """Which images: each condition is exact, '' is none."""

    source: _Exactly = ""
    os: _Exactly = ""
    release: _Exactly = ""
    arch: _Exactly = ""
    subarch: _Exactly = ""
    label: _Exactly = ""


class ResourcesWanted(Paged, frozen=True, forbid_unknown_fields=True):
    """Which products of a channel: each condition is exact, '' is none."""

    channel: Name = "stable"
    os: _Exactly = ""
    release: _Exactly = ""
    arch: _Exactly = ""
    subarch: _Exactly = ""
    label: _Exactly = ""


class Refreshed(msgspec.Struct, frozen=True):
    """Which boot sources could not be read; of those, what they offered before is listed."""

    problems: tuple[Problem, ...]


def available(call: Call) -> Page[AvailableImage]:
    """Return what the sources offer."""
    return call.mirror.images.available(**_conditions(call.query))


def refresh(call: Call) -> Refreshed:
    """Read the sources now."""
    return Refreshed(asyncio.run(call.mirror.images.refresh(unsaid)))


def resources(call: Call) -> Page[BootResource]:
    """Return what a channel publishes."""
    return call.mirror.images.resources(**_conditions(call.query))


def _conditions(query: msgspec.Struct) -> dict[str, Any]:
    return msgspec.structs.asdict(query)


ROUTES = (
    Route(
        method="GET",
        path="/available-images",
        right=Right.READ_STATE,
        handler=available,
        summary="List what the boot sources offer, what is taken, and why the rest is not.",
        tag="available-images",
        query=ImagesWanted,
        returns=Page[AvailableImage],
    ),
    Route(
        method="POST",
        path="/available-images:refresh",
        right=Right.OPERATE,
        handler=refresh,
        summary="Read the boot sources now, and list what they offer; nothing is fetched.",
        tag="available-images",
        returns=Refreshed,
        errors=(NothingSelected,),
    ),
    Route(
        method="GET",
        path="/boot-resources",
        right=Right.READ_STATE,
        handler=resources,
        summary="List the products that a channel publishes, with their versions.",
        tag="boot-resources",
        query=ResourcesWanted,
        returns=Page[BootResource],
        channel=lambda call: str(call.query.channel),
        errors=(NotFound,),
    ),
)
