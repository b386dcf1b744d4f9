"""What plugins say, as it can be shown."""

from __future__ import annotations


def clean(text: str, most: int) -> str:
    """Return a plugin's words as they can be shown: a line, of at most so many characters."""
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
