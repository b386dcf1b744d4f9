"""Lists that are text: manifests, above all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.formats.errors import FormatError
from mirror.formats.head import check_head

if TYPE_CHECKING:
    from pathlib import Path


def read_text(file: Path, *, limit: int) -> str:
    """Return a file as text; of a longer one, just what shows that it has more than `limit` bytes.

    Raises `FormatError` where it is none: a web page, nothing, no UTF-8, binary.
    """
    with file.open("rb") as stream:
        data = stream.read(limit + 1)
    check_head(data)
    try:
        # The last character may be cut in two.
        content = data.decode(errors="strict" if len(data) <= limit else "replace")
    except UnicodeDecodeError:
        raise FormatError("is not UTF-8 text") from None
    if "\0" in content:
        raise FormatError("is not text")
    return content
