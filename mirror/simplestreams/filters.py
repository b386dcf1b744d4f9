r"""The filter language of simplestreams: what `sstream-mirror` takes on its command line.

`KEY=VALUE`, `KEY!=VALUE`, `KEY~REGEX`, `KEY!~REGEX`. A key is any attribute of an item or of what
it belongs to (`mirror.model.flatten`), or `product_name`, `version_name`, `item_name`. A key that
is missing counts as the empty text. A regex matches anywhere unless it is anchored.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from mirror.errors import FilterInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SYNTAX = re.compile(r"(?P<key>[\w|-]+) *(?P<no>!?)(?P<operator>[=~]) *(?P<value>.*)")


class Filter(msgspec.Struct, frozen=True):
    """One condition. `pattern` is None where `value` is compared as it is."""

    text: str
    key: str
    value: str
    negated: bool
    pattern: re.Pattern[str] | None = None


def parse_filter(text: str) -> Filter:
    """Read one filter. Raises FilterInvalid."""
    found = _SYNTAX.fullmatch(text)
    if not found:
        raise FilterInvalid(f"can't read the filter {text!r}")
    pattern = _compile(text, found["value"]) if found["operator"] == "~" else None
    return Filter(text, found["key"], found["value"], bool(found["no"]), pattern)


def matches(filters: Iterable[Filter], attributes: Mapping[str, Any]) -> bool:
    """Say whether flattened `attributes` pass every filter."""
    return all(_passes(condition, attributes) for condition in filters)


def _compile(text: str, regex: str) -> re.Pattern[str]:
    try:
        return re.compile(regex)
    except (re.error, RecursionError, OverflowError) as error:
        raise FilterInvalid(
            f"the filter {text!r} has a regex that is not valid: {error}"
        ) from error


def _passes(condition: Filter, attributes: Mapping[str, Any]) -> bool:
    value = attributes.get(condition.key, "")
    if not isinstance(value, str):
        value = str(value) if isinstance(value, int | float) else ""
    found = condition.pattern.search(value) if condition.pattern else condition.value == value
    return bool(found) is not condition.negated
