"""channels: what is published now, and under which name."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mirror.access.rights import Right
from mirror.errors import (
    AlreadyExists,
    Busy,
    ChannelHeld,
    ChannelMoved,
    ChannelNeeded,
    ChannelNotAllowed,
    FilterInvalid,
    NameInvalid,
    NotFound,
    VersionNotHere,
)
from mirror.model import Pin, Switch, utcnow
from mirror.server.access import require
from mirror.server.api.inputs import Counted, Licences, Name, Number, Paged, Text, matching
from mirror.server.api.pages import Page, page
from mirror.server.api.route import Call, Route
from mirror.service.channels import ChannelState
from mirror.service.notices import ReleaseNotice

TAG = "channels"

_PUBLISHING = (ChannelHeld, ChannelMoved, Busy, NotFound)


class ByName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which channel."""

    channel: Name


class PinOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which pin of which channel."""

    channel: Name
    pin: Number


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to publish: a snapshot, or what another channel has."""

    snapshot: Name


class Back(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to go back to: a snapshot, or what another channel has; null: what was there before."""

    to: Name | None = None


class Hold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the channel is held."""

    reason: Text


class PinWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of each product that passes every filter, only this version is published."""

    filters: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=50)]
    version: Annotated[str, matching("[!-~]+", min_length=1, max_length=200)]


class ChannelLicences(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which images that are not free a channel gives, to tokens that have the licence."""

    licences: Licences


class ChannelNotices(msgspec.Struct, frozen=True):
    """What plugins say today of the releases that a channel publishes, the gravest first."""

    notices: tuple[ReleaseNotice, ...]


def list_(call: Call) -> Page[ChannelState]:
    """Return the channels."""
    return page(call.mirror.channels.list(), lambda each: each.name, call.query)


def show(call: Call) -> ChannelState:
    """Return one."""
    return call.mirror.channels.state(call.where.channel)


def history(call: Call) -> Page[Switch]:
    """Return what it published, the newest first. A cursor counts the entries before it."""
    entries = call.mirror.channels.history(call.where.channel)
    end = min(int(call.query.after or 0) or len(entries), len(entries))
    start = max(0, end - call.query.limit)
    return Page(tuple(reversed(entries[start:end])), str(start) if start else "")


def notices(call: Call) -> ChannelNotices:
    """Return what is to be known today. It is the same all day: asked once, unless others are."""
    channel, images = call.where.channel, call.mirror.images
    name = f"notices of {call.mirror.channels.current(channel)} on {utcnow():%Y-%m-%d}"
    return call.latest.get(name, lambda: ChannelNotices(images.notices(channel)))


def licences(call: Call) -> ChannelLicences:
    """Return what it allows."""
    return msgspec.convert({"licences": show(call).licences}, ChannelLicences)


def set_licences(call: Call) -> ChannelLicences:
    """Let it allow these and no others."""
    call.mirror.channels.set_licences(call.where.channel, call.body.licences, by=call.by)
    return licences(call)


def create(call: Call) -> ChannelState:
    """Make one."""
    _check_origin(call, call.body.snapshot)
    call.mirror.channels.create(call.where.channel, call.body.snapshot, by=call.by)
    return show(call)


def promote(call: Call) -> ChannelState:
    """Let it publish a snapshot."""
    _check_origin(call, call.body.snapshot)
    call.mirror.channels.promote(call.where.channel, call.body.snapshot, by=call.by)
    return show(call)


def rollback(call: Call) -> ChannelState:
    """Let it publish what it published before, and hold it there."""
    to = call.body.to or ""
    if to:
        _check_origin(call, to)
    call.mirror.channels.rollback(call.where.channel, by=call.by, to=to)
    return show(call)


def hold(call: Call) -> Pin:
    """Keep it where it is."""
    return call.mirror.channels.hold(call.where.channel, call.body.reason, by=call.by)


def remove(call: Call) -> None:
    """Remove it."""
    call.mirror.channels.remove(call.where.channel, by=call.by)


def pins(call: Call) -> Page[Pin]:
    """Return its pins."""
    call.mirror.channels.current(call.where.channel)
    return page(call.mirror.channels.pins(call.where.channel), lambda pin: pin.id, call.query)


def pin(call: Call) -> Pin:
    """Pin some of its products to a version."""
    wanted: PinWanted = call.body
    return call.mirror.channels.pin(call.where.channel, wanted.filters, wanted.version, by=call.by)


def unpin(call: Call) -> None:
    """Remove a pin."""
    call.mirror.channels.unpin(call.where.channel, call.where.pin, by=call.by)


def _check_origin(call: Call, name: str) -> None:
    """Refuse a token that is limited to channels what only others publish.

    To publish it under its own name would be a way to read it.
    """
    allowed = call.principal.channels
    if not allowed:
        return
    channels = call.mirror.channels
    pointers = channels.pointers()
    if name in pointers:
        require(call.principal, Right.OPERATE, channel=name)
    elif not any(
        name == entry.snapshot
        for channel in allowed
        if channel in pointers
        for entry in channels.history(channel)
    ):
        raise ChannelNotAllowed(f"the token is for channels that never published {name!r}")


def _path(state: ChannelState) -> str:
    return f"/channels/{state.name}"


ROUTES = (
    Route(
        method="GET",
        path="/channels",
        right=Right.READ_STATE,
        handler=list_,
        summary="List the channels, and what they publish.",
        tag=TAG,
        query=Paged,
        returns=Page[ChannelState],
    ),
    Route(
        method="GET",
        path="/channels/{channel}",
        right=Right.READ_STATE,
        handler=show,
        summary="Show what a channel publishes, and what keeps it from following its sources.",
        tag=TAG,
        where=ByName,
        returns=ChannelState,
    ),
    Route(
        method="PUT",
        path="/channels/{channel}",
        right=Right.OPERATE,
        handler=create,
        summary="Make a channel that publishes a snapshot, or what another channel has.",
        tag=TAG,
        where=ByName,
        body=Origin,
        returns=ChannelState,
        status=201,
        location=_path,
        errors=(AlreadyExists, NameInvalid, ChannelMoved, NotFound),
    ),
    Route(
        method="DELETE",
        path="/channels/{channel}",
        right=Right.OPERATE,
        handler=remove,
        summary="Remove a channel with its history and pins; its snapshots stay.",
        tag=TAG,
        where=ByName,
        status=204,
        current=show,
        errors=(ChannelNeeded,),
    ),
    Route(
        method="GET",
        path="/channels/{channel}/history",
        right=Right.READ_STATE,
        handler=history,
        summary="List what a channel published, the newest first.",
        tag=TAG,
        where=ByName,
        query=Counted,
        returns=Page[Switch],
    ),
    Route(
        method="GET",
        path="/channels/{channel}/notices",
        right=Right.READ_STATE,
        handler=notices,
        summary="Say which releases of a channel lose their support soon, or have lost it.",
        tag=TAG,
        where=ByName,
        returns=ChannelNotices,
    ),
    Route(
        method="GET",
        path="/channels/{channel}/licences",
        right=Right.READ_STATE,
        handler=licences,
        named="getChannelLicences",
        summary="Say which images that are not free a channel gives.",
        tag=TAG,
        where=ByName,
        returns=ChannelLicences,
    ),
    Route(
        method="PUT",
        path="/channels/{channel}/licences",
        right=Right.OPERATE,
        handler=set_licences,
        named="setChannelLicences",
        summary="Let a channel give images of these licences, to tokens that have them.",
        tag=TAG,
        where=ByName,
        body=ChannelLicences,
        returns=ChannelLicences,
        current=licences,
    ),
    Route(
        method="POST",
        path="/channels/{channel}:promote",
        right=Right.OPERATE,
        handler=promote,
        summary="Let a channel publish a snapshot, or what another channel has.",
        tag=TAG,
        where=ByName,
        body=Origin,
        returns=ChannelState,
        current=show,
        errors=(NameInvalid, *_PUBLISHING),
    ),
    Route(
        method="POST",
        path="/channels/{channel}:rollback",
        right=Right.OPERATE,
        handler=rollback,
        summary="Let a channel publish again what it published before, and hold it there.",
        tag=TAG,
        where=ByName,
        body=Back,
        returns=ChannelState,
        current=show,
        errors=_PUBLISHING,
    ),
    Route(
        method="POST",
        path="/channels/{channel}:hold",
        right=Right.OPERATE,
        handler=hold,
        summary="Keep a channel where it is until its hold, which is a pin, is removed.",
        tag=TAG,
        where=ByName,
        body=Hold,
        returns=Pin,
    ),
    Route(
        method="GET",
        path="/channels/{channel}/pins",
        right=Right.READ_STATE,
        handler=pins,
        summary="List the pins of a channel; one without a version holds all of it.",
        tag=TAG,
        where=ByName,
        query=Paged,
        returns=Page[Pin],
    ),
    Route(
        method="POST",
        path="/channels/{channel}/pins",
        right=Right.OPERATE,
        handler=pin,
        summary="Publish only one version of the products that pass the filters.",
        tag=TAG,
        where=ByName,
        body=PinWanted,
        returns=Pin,
        status=201,
        location=lambda made: f"/channels/{made.channel}/pins",
        errors=(FilterInvalid, VersionNotHere, *_PUBLISHING),
    ),
    Route(
        method="DELETE",
        path="/channels/{channel}/pins/{pin}",
        right=Right.OPERATE,
        handler=unpin,
        summary="Remove a pin; the next sync or promotion follows the sources again.",
        tag=TAG,
        where=PinOf,
        status=204,
    ),
)
