"""The text by which LVM2 describes a volume group: sections, numbers, strings and lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

Value = int | str | list["int | str"]

_MAX_DEPTH = 8
"""Sections within sections; there are four."""
_MAX_VALUES = 200_000
_TOKEN = re.compile(
    r"""\s+ | \#[^\n]* | (?P<sign>[{}\[\],=]) | "(?P<string>(?:[^"\\]|\\.)*+)" |
    (?P<word>[^\s"{}\[\],=\#]++)""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"-?\d{1,19}")


class Section:
    """What is between two braces: values and sections, by name."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.sections: dict[str, Section] = {}

    def number(self, name: str) -> int:
        """Return a number that is not negative. Raises `FormatError` where there is none."""
        value = self.values.get(name)
        if not isinstance(value, int) or value < 0:
            raise FormatError(f"is damaged: its metadata has no number {name}")
        return value

    def string(self, name: str) -> str:
        """Return a string; '' where there is none."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def items(self, name: str) -> list[int | str]:
        """Return a list; an empty one where there is none."""
        value = self.values.get(name)
        return value if isinstance(value, list) else []

    def section(self, name: str) -> Section:
        """Return a section; an empty one where there is none."""
        return self.sections.get(name) or Section()


def parse_lvm(text: str) -> Section:
    """Parse the text. Raises `FormatError` where it is no such text, or one without end."""
    root = Section()
    stack = [root]
    tokens = _tokens(text)
    for name in tokens:
        if name == "}":
            stack.pop()
            if not stack:
                raise _damaged()
            continue
        sign = next(tokens, "")
        if sign == "{":
            inner = Section()
            stack[-1].sections[_word(name)] = inner
            stack.append(inner)
            if len(stack) > _MAX_DEPTH:
                raise _damaged()
        elif sign == "=":
            stack[-1].values[_word(name)] = _value(tokens)
        else:
            raise _damaged()
    if len(stack) > 1:
        raise _damaged()
    return root


def _damaged() -> FormatError:
    return FormatError("is damaged: its metadata is not as LVM writes it")


def _tokens(text: str) -> Iterator[str]:
    """Yield signs and words as they are, and strings with a quotation mark in front."""
    at = count = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        count += 1
        if found is None or count > _MAX_VALUES:
            raise _damaged()
        at = found.end()
        if found["string"] is not None:
            yield '"' + re.sub(r"\\(.)", r"\1", found["string"], flags=re.DOTALL)
        elif found["sign"] or found["word"]:
            yield found["sign"] or found["word"]


def _word(token: str) -> str:
    if token[0] in '{}[],="':
        raise _damaged()
    return token


def _value(words: Iterator[str]) -> Value:
    first = next(words, "")
    if first != "[":
        return _single(first)
    found: list[int | str] = []
    for each in words:
        if each == "]":
            return found
        if each != ",":
            found.append(_single(each))
    raise _damaged()


def _single(text: str) -> int | str:
    """Return a string or a number; a number that is none of ours (a fraction) as its text."""
    if text[:1] == '"':
        return text[1:]
    if not text or text in "{}[],=":
        raise _damaged()
    return int(text) if _NUMBER.fullmatch(text) else text
