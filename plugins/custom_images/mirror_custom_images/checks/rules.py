"""Checks that are a table: files at some path, in which something stands that should not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.api import Severity
from mirror_custom_images.checks.seen import Image, Seen, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mirror.api import Finding

_CONTENT = {"file"}
_THERE = {"file", "symlink", "hardlink"}


@dataclass(frozen=True)
class Rule:
    """Files whose path matches `path` as a whole, and whose text has a `fault`.

    `said` is a clause that follows the path, and says what to do; nothing of the text is in it.
    Without a `fault`, being there is one.
    """

    code: str
    path: re.Pattern[str]
    said: str
    fault: Callable[[str], bool] | None = None
    severity: Severity = Severity.WARNING


@dataclass
class _Hit:
    first: str
    count: int = 1


class Rules:
    """Sees files below `places`, and holds each against the rules."""

    def __init__(self, places: tuple[str, ...], rules: tuple[Rule, ...]) -> None:
        self.places = places
        self._rules = rules
        self._any = re.compile("|".join(f"(?:{rule.path.pattern})" for rule in rules))
        self._hits: dict[int, _Hit] = {}

    def see(self, seen: Seen) -> None:
        """Hold one file against the rules."""
        if seen.entry.kind not in _THERE or not self._any.fullmatch(seen.path):
            return
        for number, rule in enumerate(self._rules):
            if rule.path.fullmatch(seen.path) and self._breaks(rule, seen):
                if number in self._hits:
                    self._hits[number].count += 1
                else:
                    self._hits[number] = _Hit(seen.path)

    @staticmethod
    def _breaks(rule: Rule, seen: Seen) -> bool:
        if rule.fault is None:
            return True
        return seen.entry.kind in _CONTENT and rule.fault(seen.text())

    def findings(self, image: Image) -> Iterator[Finding]:
        """Say each rule that is broken once, with the first file that breaks it."""
        for number, hit in sorted(self._hits.items()):
            rule = self._rules[number]
            more = f" ({hit.count - 1:,} more are like it)" if hit.count > 1 else ""
            what = f"{shown(hit.first)} {rule.said}{more}"
            yield image.finding(rule.severity, rule.code, hit.first, what)


def is_not_empty(text: str) -> bool:
    """Say whether anything stands in a file."""
    return bool(text.strip())


def has(pattern: str) -> Callable[[str], bool]:
    """Return what says whether a line of a text begins so, whatever the case.

    Lines are tried one by one: white space in a pattern does not reach into the next one, or a
    text of empty lines would be read as often as it has lines.
    """
    match = re.compile(pattern, re.IGNORECASE).match
    return lambda text: any(match(line) for line in text.split("\n"))
