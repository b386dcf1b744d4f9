"""What the API takes: the model's types with every limit written down.

The types that a handler reads are made from those of `mirror.model`, so a field that is added there
is taken here; the limits go into the OpenAPI document and are checked by the same declaration. What
they can't say (that a keyring can be read) the verbs check.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mirror.sync.events import Event

T = TypeVar("T")

_TIME = "T(?:[0-9]{1,6}H(?:[0-9]{1,6}M(?:[0-9]{1,6}S)?)?|[0-9]{1,6}M(?:[0-9]{1,6}S)?|[0-9]{1,6}S)"


def matching(form: str, **more: Any) -> Meta:
    r"""Return the limits of a string that is of this form from its beginning to its end.

    Python's `$` lets a last newline through; what JSON Schema is read with has no `\Z`.
    """
    return Meta(pattern=rf"^(?:{form})\Z", extra_json_schema={"pattern": f"^(?:{form})$"}, **more)


TEXT_FORM = r"[^\x00-\x1f\x7f]*"
Text = Annotated[str, matching(TEXT_FORM, max_length=2000)]
Lines = Annotated[str, matching(r"[^\x00]*", max_length=500_000)]
Name = Annotated[str, matching("[A-Za-z0-9][A-Za-z0-9._-]*", min_length=1, max_length=64)]
Licences = Annotated[
    tuple[Literal["proprietary", "subscription"], ...],
    Meta(max_length=10, description="Of images that are not free."),
]
Number = Annotated[int, Meta(ge=1, le=10**15)]
Count = Annotated[int, Meta(ge=0, le=10**15)]
Duration = Annotated[
    str,
    matching(
        f"P(?:[0-9]{{1,6}}D(?:{_TIME})?|{_TIME})",
        max_length=40,
        description="ISO 8601: days, hours, minutes and seconds.",
        examples=["P7D", "PT90M"],
    ),
]
Moment = Annotated[datetime, Meta(tz=True)]
_Whole = Annotated[int, Meta(ge=-(10**9), le=10**9)]
_Texts = Annotated[tuple[Text, ...], Meta(max_length=100)]

_LIMITED: dict[Any, Any] = {
    str: Text,
    int: _Whole,
    bool: bool,
    timedelta: Duration,
    tuple[str, ...]: _Texts,
}


class Paged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of a list: at most `limit` items, `after` the cursor of the page before."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: Annotated[str, matching(TEXT_FORM, max_length=500)] = ""


class Counted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of a list whose cursors are numbers."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: Annotated[str, matching("[0-9]{0,15}")] = ""


def accepting(
    model: type[msgspec.Struct], name: str, /, *, leave_out: tuple[str, ...] = (), **limits: Any
) -> type[msgspec.Struct]:
    """Return the type of a body that makes a new `model`; `limits` are types of some fields."""
    fields: list[Any] = []
    for each in msgspec.structs.fields(model):
        if each.name in leave_out:
            continue
        kind = limits.get(each.name) or _LIMITED[each.type]
        if each.required:
            fields.append((each.name, kind))
        else:
            default = msgspec.to_builtins(each.default)
            fields.append((each.name, kind, tuple(default) if default == [] else default))
    return _define(name, fields, f"A new {model.__name__}: what is left out has its default.")


def changing(
    new: type[msgspec.Struct], name: str, *, leave_out: tuple[str, ...] = ()
) -> type[msgspec.Struct]:
    """Return the type of a body that changes some of the fields of what `new` made."""
    fields = [
        (each.name, each.type | UnsetType, UNSET)
        for each in msgspec.structs.fields(new)
        if each.name not in leave_out
    ]
    return _define(name, fields, "The fields to change; what is left out stays as it is.")


def made(model: type[T], body: Any, **more: object) -> T:
    """Return the `model` that a body describes."""
    return msgspec.convert({**given(body), **more}, model)


def changed(value: T, body: Any) -> T:
    """Return `value` with the changes that a body asks for."""
    return msgspec.convert({**msgspec.to_builtins(value), **given(body)}, type(value))


def changes_for(model: type[msgspec.Struct], body: Any) -> dict[str, object]:
    """Return the changes that a body asks for, as values of the model's fields."""
    kinds = {each.name: each.type for each in msgspec.structs.fields(model)}
    return {name: msgspec.convert(value, kinds[name]) for name, value in given(body).items()}


def given(body: Any) -> dict[str, Any]:
    """Return the fields of a body that have a value."""
    return {
        name: value
        for name in body.__struct_fields__
        if (value := getattr(body, name)) is not UNSET
    }


def unsaid(event: Event) -> None:
    """Say nothing of what a verb tells on its way: the answer has it all."""


def _define(name: str, fields: list[Any], description: str) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        name,
        fields,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        namespace={"__doc__": description},
        module=__name__,
    )
