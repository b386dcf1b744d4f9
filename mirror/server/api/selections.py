"""selections: what to take from the boot sources."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from msgspec import Meta

from mirror.access.rights import Right
from mirror.errors import (
    AlreadyExists,
    FilterInvalid,
    NotFound,
    NothingSelected,
    SelectionInvalid,
)
from mirror.model import Selection
from mirror.server.api.inputs import (
    Number,
    Paged,
    Text,
    accepting,
    changed,
    changing,
    made,
    unsaid,
)
from mirror.server.api.pages import Page, page
from mirror.server.api.route import Call, Route
from mirror.sync.look import SelectionPreview

TAG = "selections"

_Words = Annotated[tuple[Text, ...], Meta(max_length=200)]

NewSelection = accepting(
    Selection,
    "NewSelection",
    leave_out=("id",),
    keep=Annotated[int, Meta(ge=1, le=1000)],
    filters=_Words,
    arches=_Words,
    subarches=_Words,
    labels=_Words,
)
SelectionChanges = changing(NewSelection, "SelectionChanges")

_UNUSABLE = (SelectionInvalid, FilterInvalid, AlreadyExists, NotFound)


class ById(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which selection."""

    id: Number


def list_(call: Call) -> Page[Selection]:
    """Return the selections."""
    return page(call.mirror.selections.list(), lambda each: each.id, call.query)


def show(call: Call) -> Selection:
    """Return one."""
    return call.mirror.selections.get(call.where.id)


def add(call: Call) -> Selection:
    """Add one."""
    return call.mirror.selections.add(made(Selection, call.body, id=0), by=call.by)


def update(call: Call) -> Selection:
    """Change one."""
    after = changed(call.mirror.selections.get(call.where.id), call.body)
    return call.mirror.selections.update(after, by=call.by)


def remove(call: Call) -> None:
    """Remove one."""
    call.mirror.selections.remove(call.where.id, by=call.by)


def preview_new(call: Call) -> SelectionPreview:
    """Say what one would bring."""
    wanted = made(Selection, call.body, id=0)
    return asyncio.run(call.mirror.selections.preview(wanted, unsaid))


def preview(call: Call) -> SelectionPreview:
    """Say what a change of one would bring."""
    wanted = changed(call.mirror.selections.get(call.where.id), call.body)
    return asyncio.run(call.mirror.selections.preview(wanted, unsaid))


ROUTES = (
    Route(
        method="GET",
        path="/selections",
        right=Right.READ_STATE,
        handler=list_,
        summary="List the selections, in the order in which they were made.",
        tag=TAG,
        query=Paged,
        returns=Page[Selection],
    ),
    Route(
        method="POST",
        path="/selections",
        right=Right.OPERATE,
        handler=add,
        summary="Add a selection; bootloaders come along by themselves.",
        tag=TAG,
        body=NewSelection,
        returns=Selection,
        status=201,
        location=lambda selection: f"/selections/{selection.id}",
        errors=_UNUSABLE,
    ),
    Route(
        method="POST",
        path="/selections:preview",
        right=Right.OPERATE,
        handler=preview_new,
        summary="Show what the next sync would fetch for a selection that is not added yet.",
        tag=TAG,
        body=NewSelection,
        returns=SelectionPreview,
        errors=(*_UNUSABLE, NothingSelected),
    ),
    Route(
        method="GET",
        path="/selections/{id}",
        right=Right.READ_STATE,
        handler=show,
        summary="Show a selection.",
        tag=TAG,
        where=ById,
        returns=Selection,
    ),
    Route(
        method="PATCH",
        path="/selections/{id}",
        right=Right.OPERATE,
        handler=update,
        summary="Change a selection; fields that are left out stay as they are.",
        tag=TAG,
        where=ById,
        body=SelectionChanges,
        returns=Selection,
        current=show,
        errors=_UNUSABLE,
    ),
    Route(
        method="DELETE",
        path="/selections/{id}",
        right=Right.OPERATE,
        handler=remove,
        summary="Remove a selection; its images leave with the next sync.",
        tag=TAG,
        where=ById,
        status=204,
        current=show,
    ),
    Route(
        method="POST",
        path="/selections/{id}:preview",
        right=Right.OPERATE,
        handler=preview,
        summary="Show what the next sync would do otherwise if a selection were changed.",
        tag=TAG,
        where=ById,
        body=SelectionChanges,
        returns=SelectionPreview,
        errors=(*_UNUSABLE, NothingSelected),
    ),
)
