"""How things are shown: JSON for machines, tables and plain words for people."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mirror.errors import MirrorError


# what moves a terminal's cursor, or turns the reading direction: others wrote much of what is shown
_WILD = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def _tame(text: str) -> str:
    """Write control characters as JSON does, so that JSON stays what it is."""
    return _WILD.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def print_json(value: Any) -> None:  # noqa: ANN401  (whatever msgspec can encode)
    """Print a value as indented JSON on standard output."""
    import msgspec

    print_line(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_line(text: str = "") -> None:
    """Print a line on standard output."""
    sys.stdout.write(_tame(text) + "\n")
    sys.stdout.flush()


def print_note(text: str) -> None:
    """Print a line for a person on standard error, where it does not mix with the output."""
    sys.stderr.write(_tame(text) + "\n")
    sys.stderr.flush()


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns, each as wide as its widest cell; the same on a terminal and in a pipe."""
    lines = [list(headings), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print_line("  ".join(cells).rstrip())


def print_error(error: MirrorError, *, as_json: bool) -> None:
    """Print what happened, and what to do next, on standard error."""
    if as_json:
        import msgspec

        print_note(msgspec.json.encode({"error": error.as_dict()}).decode())
        return
    print_note(f"mirror: {error.what} [{error.code}]")
    print_note(f"  {error.remedy}")


def human_size(count: float) -> str:
    """Write a number of bytes for a person: `1.5 GB`, in powers of 1000 as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def human_seconds(seconds: float) -> str:
    """Write a duration for a person: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
