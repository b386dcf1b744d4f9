r"""Write a stream that every MAAS reads.

- Each attribute at its own level, nothing inherited, nothing empty.
- One kind in a products file: a content id with several kinds becomes one file a kind, with the
  kind appended to its content id (`CONTENT_ID:multi-file`).
- What MAAS demands and a source may lack is filled in: `kflavor: generic` and its like.
- Products that MAAS 3.7+ can't parse (Kind.OTHER) are in `index-all` only.
- One `updated` in every file; the same products give the same bytes.
- Pure ASCII, no line begins with '-', and no text holds an OpenPGP header: MAAS cuts a signed file
  at the first one, without undoing dash-escapes, and simplestreams breaks lines at U+2028.
"""

from __future__ import annotations

import json
import re
from datetime import date
from typing import TYPE_CHECKING, Any

import msgspec

from mirror.errors import MetadataInvalid, PathConflict, StreamRefusedByMaas
from mirror.model import Kind
from mirror.simplestreams.collector import collector_paused
from mirror.simplestreams.conflicts import conflicting_paths
from mirror.simplestreams.kinds import ITEMS, kind_of
from mirror.simplestreams.paths import check_content_id, check_item_path
from mirror.simplestreams.read import INDEX_FORMAT, PRODUCTS_FORMAT
from mirror.simplestreams.timestamps import format_updated

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from mirror.model import Attributes, Product, Version

DATATYPE = "image-ids"
"""What images.maas.io writes. MAAS takes `image-downloads` too, but so would LXD."""

_DATES = ("support_eol", "support_esm_eol")

_encode = msgspec.json.Encoder(order="deterministic").encode


class Document(msgspec.Struct, frozen=True):
    """One metadata file: its path without suffix, and its text as `.json` and as `.sjson`.

    The two differ for an index only, which names files of its own suffix. `.json.gpg` signs `json`.
    """

    path: str
    json: bytes
    sjson: bytes


class _ProductsFile(msgspec.Struct, frozen=True):
    content_id: str
    kind: Kind
    products: list[Product]


@collector_paused()
def write_stream(products: Iterable[Product], updated: datetime) -> list[Document]:
    """Write the products files, then `index-all`, then `index`.

    `index` is left out if it would be empty, as it is when every product is of Kind.OTHER. Raises
    StreamRefusedByMaas if there is nothing to publish; PathConflict, UnsafePath or MetadataInvalid
    for products that the reader would not have let through.
    """
    pruned = [product for product in products if any(v.items for v in product.versions)]
    if not pruned:
        raise StreamRefusedByMaas("there is nothing to publish: no product has a version")
    _check_paths(pruned)
    files = _group(pruned)
    time = format_updated(updated)
    documents = [_products_document(file, time) for file in files]
    documents.append(_index_document("index-all", files, time))
    for_all = [file for file in files if file.kind is not Kind.OTHER]
    if for_all:
        documents.append(_index_document("index", for_all, time))
    return documents


def write_nothing(updated: datetime) -> list[Document]:
    """Write `index-all` and `index` of a stream in which there is nothing for who reads it."""
    time = format_updated(updated)
    return [_index_document(name, (), time) for name in ("index-all", "index")]


def _check_paths(products: Sequence[Product]) -> None:
    for product in products:
        for version in product.versions:
            for item in version.items:
                check_item_path(item.path)
    conflicts = conflicting_paths(products)
    if conflicts:
        what = f"{len(conflicts)} paths have two contents, such as {min(conflicts)!r}"
        raise PathConflict(what)


def _group(products: Iterable[Product]) -> list[_ProductsFile]:
    groups: dict[str, dict[Kind, list[Product]]] = {}
    for product in products:
        groups.setdefault(product.content_id, {}).setdefault(kind_of(product), []).append(product)
    files = [
        _ProductsFile(f"{content_id}:{kind}" if len(kinds) > 1 else content_id, kind, members)
        for content_id, kinds in sorted(groups.items())
        for kind, members in sorted(kinds.items())
    ]
    _check_names(files)
    return files


def _check_names(files: Sequence[_ProductsFile]) -> None:
    for file in files:
        check_content_id(file.content_id)
        if len({product.name for product in file.products}) != len(file.products):
            raise MetadataInvalid(f"{file.content_id} has two products of the same name")
    if len({file.content_id for file in files}) != len(files):
        raise MetadataInvalid("two products files have the same content id")


def _products_document(file: _ProductsFile, updated: str) -> Document:
    text = _text(
        {
            "content_id": file.content_id,
            "datatype": DATATYPE,
            "format": PRODUCTS_FORMAT,
            "products": {product.name: _product(product, file.kind) for product in file.products},
            "updated": updated,
        }
    )
    return Document(_path(file.content_id), text, text)


def _index_document(name: str, files: Sequence[_ProductsFile], updated: str) -> Document:
    def text(suffix: str) -> bytes:
        entries = {
            file.content_id: {
                "datatype": DATATYPE,
                "format": PRODUCTS_FORMAT,
                "path": f"{_path(file.content_id)}.{suffix}",
                "products": sorted(product.name for product in file.products),
                "updated": updated,
            }
            for file in files
        }
        return _text({"format": INDEX_FORMAT, "index": entries, "updated": updated})

    return Document(_path(name), text("json"), text("sjson"))


def _path(name: str) -> str:
    return f"streams/v1/{name}"


def _product(product: Product, kind: Kind) -> dict[str, Any]:
    attributes = _with_dates(_filled_in(product.attributes, kind))
    # MAAS passes the keys on beside one of this name, and stumbles over it.
    attributes.pop("product_name", None)
    # A rack controller of MAAS 2.x splits the subarch of a rolling product at its '-'.
    if "-" not in str(attributes.get("subarch")):
        attributes.pop("rolling", None)
    versions = {v.name: _version(v) for v in product.versions if v.items}
    return {**attributes, "versions": versions}


def _version(version: Version) -> dict[str, Any]:
    items = {
        item.name: {
            **item.attributes,
            "ftype": item.ftype,
            "path": item.path,
            "sha256": item.sha256,
            "size": item.size,
        }
        for item in version.items
    }
    if not version.attributes:
        return {"items": items}
    attributes = {
        key: value
        for key, value in version.attributes.items()
        if key != "version_name" and key not in ITEMS
    }
    return {**_with_dates(attributes), "items": items}


def _filled_in(attributes: Attributes, kind: Kind) -> Attributes:
    if kind in {Kind.BOOTLOADER, Kind.OTHER}:
        return dict(attributes)
    filled = {"support_eol": None, **attributes}
    if kind is Kind.MULTI_FILE:
        release = attributes["release"]
        for key, value in (
            ("kflavor", "generic"),
            ("krel", release),
            ("release_codename", release),
        ):
            if not isinstance(filled.get(key), str):
                filled[key] = value
    return filled


def _with_dates(attributes: Attributes) -> Attributes:
    """Mend the dates: MAAS tries every kind on every file, and one of them trips over a bad date.

    None means that no end of life is known.
    """
    dates = {key: _date(attributes[key]) for key in _DATES if key in attributes}
    return {**attributes, **dates}


def _date(value: object) -> str | None:
    try:
        return date(*map(int, str(value).split("-"))).isoformat()
    except (TypeError, ValueError):
        return None


def _text(value: dict[str, Any]) -> bytes:
    text = msgspec.json.format(_encode(value), indent=1) + b"\n"
    if not text.isascii():
        text = re.sub(r"[^\x00-\x7f]", _escape, text.decode()).encode("ascii")
    return text.replace(b"-----BEGIN PGP", b"\\u002d----BEGIN PGP")


def _escape(character: re.Match[str]) -> str:
    return json.dumps(character[0])[1:-1]
