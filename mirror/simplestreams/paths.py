"""Which paths and content ids may be published.

MAAS joins an item's path to the base of the stream with `urljoin`, python-simplestreams with string
concatenation, and both write it below a directory. The grammar is what all of them read alike:
relative, printable ASCII, no `..`, no dot-files, and nothing that a URL gives a meaning to.
"""

from __future__ import annotations

import re

from mirror.errors import MetadataInvalid, UnsafePath

MAX_PATH = 1000
MAX_SEGMENT = 240
"""File systems take 255 bytes; clients add suffixes such as `.part`."""

# A segment is printable ASCII without / : \ % ? #; it neither begins with '.' nor has a space at an
# end. Possessive quantifiers: nothing here needs backtracking, and a stream has 80,000 paths.
_CHARACTERS = r"!\"$&'()*+,\-.0-9;<=>@A-Z\[\]^_`a-z{|}~"


def _segment(characters: str) -> str:
    return rf"(?!\.)[{characters}]++(?: ++[{characters}]++)*+"


_ITEM_PATH = re.compile(
    rf"(?!(?i:streams)(?:/|$)){_segment(_CHARACTERS)}(?:/{_segment(_CHARACTERS)})*+"
)
_METADATA_PATH = re.compile(rf"{_segment(_CHARACTERS)}(?:/{_segment(_CHARACTERS + ':')})*+")
_CONTENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+~-]{0,199}")
_RESERVED_CONTENT_IDS = {"index", "index-all"}

_match_item = _ITEM_PATH.fullmatch
_match_metadata = _METADATA_PATH.fullmatch


def check_item_path(path: str) -> None:
    """Raise UnsafePath unless `path` may be that of an image file."""
    if not _match_item(path) or (len(path) > MAX_SEGMENT and _is_too_long(path)):
        raise UnsafePath(f"unsafe path of an item: {path[:200]!r}: {_why(path)}")


def check_metadata_path(path: str) -> None:
    """Raise UnsafePath unless `path` may be that of a metadata file (colons are usual in those)."""
    if not _match_metadata(path) or _is_too_long(path):
        raise UnsafePath(f"unsafe path of a metadata file: {path[:200]!r}: {_why(path)}")


def check_content_id(content_id: str) -> None:
    """Raise MetadataInvalid unless `content_id` can name a products file of ours."""
    if not _CONTENT_ID.fullmatch(content_id) or content_id in _RESERVED_CONTENT_IDS:
        raise MetadataInvalid(f"not a usable content id: {content_id[:200]!r}")


def _is_too_long(path: str) -> bool:
    return len(path) > MAX_PATH or max(map(len, path.split("/"))) > MAX_SEGMENT


def _why(path: str) -> str:
    segments = path.split("/")
    reasons = {
        "it is empty": not path,
        f"it is too long (limits: {MAX_PATH}, and {MAX_SEGMENT} between slashes)": _is_too_long(
            path
        ),
        "it is absolute": path.startswith("/"),
        "it climbs with '..'": ".." in segments,
        "it has an empty segment": "" in segments,
        "a segment begins with '.'": any(segment.startswith(".") for segment in segments),
        "'streams/' is for metadata": segments[0].lower() == "streams",
    }
    other = "it has a character that clients read differently (such as ':', '%', '\\\\')"
    return next((reason for reason, applies in reasons.items() if applies), other)
