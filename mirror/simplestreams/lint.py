"""What each MAAS would choke on, or ignore, in a stream: the check before it is published.

MAAS up to 3.6 reads through python-simplestreams; its rack controllers up to 3.4 import what their
region read. MAAS 3.7+ has a parser of its own, which is stricter: one bad product, and the whole
boot source fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mirror.simplestreams.collector import collector_paused
from mirror.simplestreams.lint_findings import MaasFinding
from mirror.simplestreams.lint_products import DATATYPES, is_time, lint_products, who_needs_format

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["MaasFinding", "lint_stream"]

_FOR_OLD_MAAS = "index-all."


@collector_paused()
def lint_stream(files: Mapping[str, bytes]) -> list[MaasFinding]:
    """Return the findings on a stream: its plain JSON by path (`streams/v1/index.json`).

    Files whose name begins with `index` are indexes; the rest are products files. `index-all` and
    what only it lists are not for MAAS 3.7+, so nothing is said about what that makes of them.
    """
    findings: list[MaasFinding] = []
    indexes: dict[str, dict[str, Any]] = {}
    times: set[str] = set()
    for path in filter(_is_index, files):
        indexes[path] = _decode(files[path])
        findings += _lint_text(path, files[path], indexes[path])
        times.add(str(indexes[path].get("updated")))
        findings += _lint_index(path, indexes[path], files)
    if not indexes:
        findings.append(MaasFinding("all", "fails", "no-index", "", "there is no index"))
    for path in files:
        if path not in indexes:
            products = _decode(files[path])
            findings += _lint_text(path, files[path], products)
            times.add(str(products.get("updated")))
            findings += _for_readers(path, lint_products(path, products), indexes)
    if len(times) > 1:
        what = "the files differ in updated; MAAS looks at that of the first products file only"
        findings.append(MaasFinding(">=3.7", "ignores", "updated-differs", "", what))
    return findings


def _lint_text(path: str, data: bytes, top: dict[str, Any]) -> Iterator[MaasFinding]:
    if not top:
        yield MaasFinding("all", "fails", "not-json", path, f"it is no JSON object: {data[:40]!r}")
    if b"-----BEGIN PGP" in data or b"\n-" in data:
        what = "signed, it would be cut at a line that begins with '-' or an OpenPGP header"
        yield MaasFinding(">=3.7", "fails", "text-cut", path, what)


def _lint_index(path: str, index: dict[str, Any], files: Mapping[str, bytes]) -> list[MaasFinding]:
    findings = []
    if index.get("format") != "index:1.0":
        what = "format is not index:1.0"
        findings.append(MaasFinding(who_needs_format(index), "fails", "index-format", path, what))
    if not is_time(index.get("updated")):
        what = "updated can't be read"
        findings.append(MaasFinding(">=3.7", "fails", "index-updated", path, what))
    entries = index.get("index")
    if not isinstance(entries, dict) or not entries:
        what = "the index is empty"
        findings.append(MaasFinding(">=3.7", "fails", "index-empty", path, what))
        return _only_old(path, findings)
    for content_id, entry in entries.items():
        where = f"{path} {content_id}"
        if not isinstance(entry, dict):
            findings.append(MaasFinding("all", "fails", "entry-path", where, "it is not an object"))
            continue
        findings += _lint_entry(where, entry)
        findings += _lint_entry_path(where, entry.get("path"), path, files)
    return _only_old(path, findings)


def _lint_entry(where: str, entry: dict[str, Any]) -> Iterator[MaasFinding]:
    if entry.get("format") != "products:1.0":
        what = "format is not products:1.0"
        if who_needs_format(entry) == "all":
            yield MaasFinding(">=3.7", "fails", "entry-format", where, what)
        yield MaasFinding("<=3.6", "ignores", "entry-format", where, what)
    if not is_time(entry.get("updated")):
        yield MaasFinding(">=3.7", "fails", "entry-updated", where, "updated can't be read")
    if entry.get("datatype") not in (None, *DATATYPES):
        what = f"datatype is none of {', '.join(DATATYPES)}"
        yield MaasFinding(">=3.7", "fails", "entry-datatype", where, what)
    names = entry.get("products")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        yield MaasFinding(">=3.7", "fails", "entry-products", where, "products is not a list")
    if "name" in entry:
        what = "an attribute called name clashes with MAAS's own"
        yield MaasFinding(">=3.7", "fails", "entry-name", where, what)


def _lint_entry_path(
    where: str, target: object, index: str, files: Mapping[str, bytes]
) -> Iterator[MaasFinding]:
    if not isinstance(target, str) or target not in files:
        what = f"it names {target!r}, which is not there (paths begin at the base of the stream)"
        yield MaasFinding("all", "fails", "entry-path", where, what)
    elif index.endswith(".sjson") and not target.endswith(".sjson"):
        what = f"a signed index names {target!r}, which is not signed"
        yield MaasFinding("all", "fails", "entry-unsigned", where, what)


def _for_readers(
    path: str, findings: list[MaasFinding], indexes: dict[str, dict[str, Any]]
) -> list[MaasFinding]:
    """Keep what matters to those MAAS that an index leads to the file."""
    readers = [name for name, index in indexes.items() if path in _targets(index)]
    if indexes and not readers:
        what = "no index names it"
        return [MaasFinding("all", "ignores", "not-listed", path, what)]
    if readers and all(map(_is_for_old_maas, readers)):
        return [finding for finding in findings if finding.maas != ">=3.7"]
    return findings


def _only_old(path: str, findings: list[MaasFinding]) -> list[MaasFinding]:
    if _is_for_old_maas(path):
        return [finding for finding in findings if finding.maas != ">=3.7"]
    return findings


def _targets(index: dict[str, Any]) -> set[object]:
    entries = index.get("index")
    values = entries.values() if isinstance(entries, dict) else ()
    return {str(entry.get("path")) for entry in values if isinstance(entry, dict)}


def _decode(data: bytes) -> dict[str, Any]:
    try:
        top = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return top if isinstance(top, dict) else {}


def _is_index(path: str) -> bool:
    return path.rpartition("/")[2].startswith("index")


def _is_for_old_maas(path: str) -> bool:
    return path.rpartition("/")[2].startswith(_FOR_OLD_MAAS)
