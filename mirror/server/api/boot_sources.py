"""boot-sources: where images come from."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mirror.access.rights import Right
from mirror.api import SourceDefault
from mirror.errors import (
    AlreadyExists,
    CredentialsInUrl,
    DefaultKeyringMissing,
    KeyNotKnown,
    KeyNotTrusted,
    KeyringInvalid,
    KeyringMissing,
    MirrorError,
    NameInvalid,
    SettingsInvalid,
    SourceInvalid,
    UsageProblem,
)
from mirror.model import BootSource, Problem, SourceStatus
from mirror.server.api.files import check_files, fields_of
from mirror.server.api.inputs import (
    Count,
    Lines,
    Name,
    Paged,
    accepting,
    changes_for,
    changing,
    made,
    matching,
)
from mirror.server.api.pages import Page, page
from mirror.server.api.route import Call, Route
from mirror.service.source_report import SourceReport

TAG = "boot-sources"

Url = Annotated[str, matching(r"https?://[^\x00-\x20\x7f]+", min_length=8, max_length=2000)]

NewBootSource = accepting(
    BootSource,
    "NewBootSource",
    name=Name,
    url=Url,
    fallback_urls=Annotated[tuple[Url, ...], Meta(max_length=20)],
    keyring_data=Lines,
    trust=Literal["signed", "none"],
    bandwidth=Count,
)
BootSourceChanges = changing(NewBootSource, "BootSourceChanges", leave_out=("name",))

_UNUSABLE = (
    NameInvalid,
    SourceInvalid,
    SettingsInvalid,
    CredentialsInUrl,
    KeyringMissing,
    KeyringInvalid,
    KeyNotTrusted,
    KeyNotKnown,
)


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which boot source."""

    name: Name


class CheckResult(msgspec.Struct, frozen=True):
    """What a look at a boot source found: `report` if it is `ok`, else the `problem`."""

    ok: bool
    report: SourceReport | None
    problem: Problem | None


def list_(call: Call) -> Page[BootSource]:
    """Return the boot sources."""
    return page(call.mirror.sources.list(), lambda each: each.name, call.query)


def show(call: Call) -> BootSource:
    """Return one."""
    return call.mirror.sources.get(call.where.name)


def add(call: Call) -> BootSource:
    """Add one."""
    source = made(BootSource, call.body)
    _check_files(call, fields_of(source))
    return call.mirror.sources.add(source, by=call.by)


def update(call: Call) -> BootSource:
    """Change one."""
    changes = changes_for(BootSource, call.body)
    _check_files(call, changes)
    return call.mirror.sources.update(call.where.name, changes, by=call.by)


def remove(call: Call) -> None:
    """Remove one."""
    call.mirror.sources.remove(call.where.name, by=call.by)


def check(call: Call) -> CheckResult:
    """Read the stream of one now."""
    return _check(call, call.mirror.sources.get(call.where.name))


def check_new(call: Call) -> CheckResult:
    """Read the stream of one that need not have been added."""
    source = made(BootSource, call.body)
    _check_files(call, fields_of(source))
    return _check(call, source)


def state(call: Call) -> SourceStatus:
    """Return how one was when it was last read."""
    return call.mirror.sources.state(call.where.name)


def states(call: Call) -> Page[SourceStatus]:
    """Return how each was when it was last read."""
    return page(call.mirror.sources.states().values(), lambda each: each.name, call.query)


def defaults(call: Call) -> Page[SourceDefault]:
    """Return those that plugins suggest."""
    return page(call.mirror.sources.defaults(), lambda each: each.name, call.query)


def add_default(call: Call) -> BootSource:
    """Add one that a plugin suggests."""
    changes = changes_for(BootSource, call.body)
    _check_files(call, changes)
    source = call.mirror.sources.from_default(call.where.name, changes)
    return call.mirror.sources.add(source, by=call.by)


def _check(call: Call, source: BootSource) -> CheckResult:
    """Read the stream. What is wrong with it is the answer; what is wrong with the request, not."""
    try:
        report = asyncio.run(call.mirror.sources.check(source))
    except UsageProblem:
        raise
    except MirrorError as error:
        return CheckResult(
            ok=False,
            report=None,
            problem=Problem(source.name, error.code, error.what, error.remedy),
        )
    return CheckResult(ok=True, report=report, problem=None)


def _check_files(call: Call, wanted: dict[str, object]) -> None:
    suggested = tuple(each.keyring for each in call.mirror.sources.defaults())
    check_files(wanted, call.mirror.sources.list(), suggested=suggested)


def _path(source: BootSource) -> str:
    return f"/boot-sources/{source.name}"


ROUTES = (
    Route(
        method="GET",
        path="/boot-sources",
        right=Right.READ_STATE,
        handler=list_,
        summary="List the boot sources, the highest priority first.",
        tag=TAG,
        query=Paged,
        returns=Page[BootSource],
    ),
    Route(
        method="POST",
        path="/boot-sources",
        right=Right.OPERATE,
        handler=add,
        summary="Add a boot source. It may name files below /etc/maas-image-mirror only, and "
        "keyrings and CA certificates in the usual directories.",
        tag=TAG,
        body=NewBootSource,
        returns=BootSource,
        status=201,
        location=_path,
        errors=(AlreadyExists, *_UNUSABLE),
    ),
    Route(
        method="POST",
        path="/boot-sources:check",
        right=Right.OPERATE,
        handler=check_new,
        summary="Read and verify a stream without adding its source; nothing is stored.",
        tag=TAG,
        body=NewBootSource,
        returns=CheckResult,
        errors=_UNUSABLE,
    ),
    Route(
        method="GET",
        path="/boot-sources/{name}",
        right=Right.READ_STATE,
        handler=show,
        summary="Show a boot source.",
        tag=TAG,
        where=Source,
        returns=BootSource,
    ),
    Route(
        method="PATCH",
        path="/boot-sources/{name}",
        right=Right.OPERATE,
        handler=update,
        summary="Change a boot source; fields that are left out stay as they are.",
        tag=TAG,
        where=Source,
        body=BootSourceChanges,
        returns=BootSource,
        current=show,
        errors=_UNUSABLE,
    ),
    Route(
        method="DELETE",
        path="/boot-sources/{name}",
        right=Right.OPERATE,
        handler=remove,
        summary="Remove a boot source; its images leave with the next sync.",
        tag=TAG,
        where=Source,
        status=204,
        current=show,
    ),
    Route(
        method="POST",
        path="/boot-sources/{name}:check",
        right=Right.OPERATE,
        handler=check,
        summary="Read and verify the stream of a boot source now; nothing is stored.",
        tag=TAG,
        where=Source,
        returns=CheckResult,
        errors=_UNUSABLE,
    ),
    Route(
        method="GET",
        path="/boot-sources/{name}/state",
        right=Right.READ_STATE,
        handler=state,
        summary="Show how a boot source was when it was last read.",
        tag=TAG,
        where=Source,
        returns=SourceStatus,
    ),
    Route(
        method="GET",
        path="/boot-source-states",
        right=Right.READ_STATE,
        handler=states,
        summary="Show how each boot source was when it was last read.",
        tag=TAG,
        query=Paged,
        returns=Page[SourceStatus],
    ),
    Route(
        method="GET",
        path="/boot-source-defaults",
        right=Right.READ_STATE,
        handler=defaults,
        summary="List the boot sources that plugins suggest.",
        tag=TAG,
        query=Paged,
        returns=Page[SourceDefault],
    ),
    Route(
        method="POST",
        path="/boot-source-defaults/{name}:add",
        right=Right.OPERATE,
        handler=add_default,
        summary="Add a boot source that a plugin suggests, with changes if need be.",
        tag=TAG,
        where=Source,
        body=BootSourceChanges,
        returns=BootSource,
        status=201,
        location=_path,
        errors=(AlreadyExists, DefaultKeyringMissing, *_UNUSABLE),
    ),
)
