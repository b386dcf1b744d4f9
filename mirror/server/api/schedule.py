"""schedule: when the mirror syncs by itself. /status says when the next run is due."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from mirror.access.rights import Right
from mirror.errors import ScheduleInvalid, WindowInvalid
from mirror.model import Schedule
from mirror.server.api.inputs import Text, accepting, made
from mirror.server.api.route import Call, Route

TAG = "schedule"

_Windows = Annotated[tuple[Text, ...], Meta(max_length=50)]
ScheduleWanted = accepting(Schedule, "ScheduleWanted", allowed=_Windows, quiet=_Windows)


def show(call: Call) -> Schedule:
    """Return it."""
    return call.mirror.schedule.get()


def replace(call: Call) -> Schedule:
    """Store another one."""
    call.mirror.schedule.set(made(Schedule, call.body), by=call.by)
    return call.mirror.schedule.get()


ROUTES = (
    Route(
        method="GET",
        path="/schedule",
        right=Right.READ_STATE,
        handler=show,
        summary="Show when the mirror syncs by itself.",
        tag=TAG,
        returns=Schedule,
    ),
    Route(
        method="PUT",
        path="/schedule",
        right=Right.OPERATE,
        handler=replace,
        summary="Set when the mirror syncs by itself; what is left out has its default.",
        tag=TAG,
        body=ScheduleWanted,
        returns=Schedule,
        current=show,
        errors=(ScheduleInvalid, WindowInvalid),
    ),
)
