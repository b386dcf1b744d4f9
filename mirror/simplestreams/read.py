"""Read index and products files: bytes of plain JSON in, checked values out.

Signatures have been dealt with before. A file that can't be used raises; a bad product or version
is left out with its reason, so that one mistake of a publisher costs one version.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from mirror.errors import (
    DigestMissing,
    MetadataInvalid,
    MetadataTooLarge,
    NotJson,
    StreamError,
)
from mirror.model import Attributes, Item, Product, Version
from mirror.simplestreams.collector import collector_paused
from mirror.simplestreams.conflicts import Rejected, drop_conflicts
from mirror.simplestreams.levels import Aliases, lift, of_items, of_the_file
from mirror.simplestreams.paths import check_content_id, check_item_path, check_metadata_path
from mirror.simplestreams.timestamps import parse_updated

if TYPE_CHECKING:
    from datetime import datetime

    from mirror.simplestreams.limits import Limits

INDEX_FORMAT = "index:1.0"
PRODUCTS_FORMAT = "products:1.0"
MAX_NAME = 250

_is_sha256 = re.compile(r"[0-9a-f]{64}").fullmatch
_is_number = re.compile(r"[0-9]{1,18}", re.ASCII).fullmatch


class IndexEntry(msgspec.Struct, frozen=True):
    """One products file that an index names. `products` is None where the index doesn't say."""

    content_id: str
    path: str
    datatype: str
    format: str
    updated: datetime | None
    products: frozenset[str] | None


class Index(msgspec.Struct, frozen=True):
    """An index file: when it was made, and the products files that it names."""

    updated: datetime
    entries: tuple[IndexEntry, ...]


class ProductsFile(msgspec.Struct, frozen=True):
    """A products file. A product whose versions were all left out is kept, without versions."""

    content_id: str
    datatype: str
    updated: datetime
    products: tuple[Product, ...]
    rejected: tuple[Rejected, ...]


def parse_index(data: bytes, limits: Limits) -> Index:
    """Read an index file.

    Entries of another format than products:1.0 are left out. Raises NotJson, MetadataInvalid,
    MetadataTooLarge, UnsafePath.
    """
    top = _decode(data, limits.index_bytes, "the index", INDEX_FORMAT)
    entries = _object(top.get("index"), "'index' of the index")
    if len(entries) > limits.products_files:
        what = f"the index names {len(entries)} products files (limit {limits.products_files})"
        raise MetadataTooLarge(what)
    read = [_entry(content_id, entry) for content_id, entry in entries.items()]
    return Index(_updated(top, "the index"), tuple(e for e in read if e.format == PRODUCTS_FORMAT))


@collector_paused()
def parse_products(data: bytes, limits: Limits) -> ProductsFile:
    """Read a products file, with inheritance and `_aliases` expanded.

    Raises NotJson, MetadataInvalid, MetadataTooLarge for what spoils the whole file.
    """
    top = _decode(data, limits.products_bytes, "the products file", PRODUCTS_FORMAT)
    reader = _Reader(top, limits)
    kept, conflicting = drop_conflicts(reader.products())
    datatype = _text(top.get("datatype", ""), "'datatype' of the products file")
    return ProductsFile(
        reader.content_id,
        datatype,
        _updated(top, f"products file {reader.content_id}"),
        kept,
        (*reader.rejected, *conflicting),
    )


class _Reader:
    """One products file while it is being read: what is inherited, and what was left out."""

    def __init__(self, top: dict[str, Any], limits: Limits) -> None:
        self.content_id = _text(top.get("content_id"), "'content_id' of the products file")
        check_content_id(self.content_id)
        self.rejected: list[Rejected] = []
        self._limits = limits
        self._items_left = limits.items
        self._aliases = Aliases(top.get("_aliases", {}), limits.alias_attributes)
        self._aliases.expand(top)
        self._inherited = of_the_file(top)
        self._raw = _object(top.get("products"), "'products' of the products file")

    def products(self) -> list[Product]:
        if len(self._raw) > self._limits.products:
            what = f"{self.content_id}: {len(self._raw)} products (limit {self._limits.products})"
            raise MetadataTooLarge(what)
        read = []
        for name in list(self._raw):
            try:
                # taken out: what was read need not be in memory twice
                read.append(self._product(name, self._raw.pop(name)))
            except MetadataTooLarge:
                raise
            except StreamError as error:
                self.rejected.append(Rejected(name, "", error))
        return read

    def _product(self, name: str, raw: object) -> Product:
        _check_name(name, "a product")
        attributes = _object(raw, "product", name)
        raw_versions = _object(attributes.pop("versions", {}), "'versions' of product", name)
        if len(raw_versions) > self._limits.versions:
            what = f"product {name}: {len(raw_versions)} versions (limit {self._limits.versions})"
            raise MetadataTooLarge(what)
        if self._aliases:
            self._aliases.expand(attributes)
        if self._inherited:
            attributes = {**self._inherited, **attributes}
        versions = self._versions(name, raw_versions, of_items(attributes))
        lift(attributes, versions)
        for key in ("arch", "label"):
            if not isinstance(attributes.get(key), str):
                raise MetadataInvalid(f"product {name} has no {key}: no MAAS can read it")
        return Product(name, self.content_id, attributes, versions)

    def _versions(
        self, product: str, raw_versions: dict[str, Any], inherited: Attributes
    ) -> tuple[Version, ...]:
        read = []
        for name in sorted(raw_versions):
            try:
                read.append(self._version(name, raw_versions[name], inherited))
            except MetadataTooLarge:
                raise
            except StreamError as error:
                self.rejected.append(Rejected(product, name, error))
        return tuple(read)

    def _version(self, name: str, raw: object, inherited: Attributes) -> Version:
        _check_name(name, "a version")
        attributes = _object(raw, "version", name)
        raw_items = _object(attributes.pop("items", {}), "'items' of version", name)
        self._items_left -= len(raw_items)
        if self._items_left < 0:
            what = f"{self.content_id}: more than {self._limits.items} items"
            raise MetadataTooLarge(what)
        if attributes:
            self._aliases.expand(attributes)
            inherited = {**inherited, **of_items(attributes)}
        if self._aliases:
            for item in raw_items.values():
                self._aliases.expand(_object(item, "an item of version", name))
        items = tuple([_item(key, item, inherited) for key, item in raw_items.items()])
        if len({item.path[item.path.rfind("/") + 1 :] for item in items}) != len(items):
            raise MetadataInvalid(f"version {name}: two items have the same file name")
        return Version(name, items, attributes)


def _item(name: str, raw: object, inherited: Attributes) -> Item:
    if not isinstance(raw, dict):
        raise MetadataInvalid(f"item {name[:60]!r} is not an object")
    if inherited:
        raw = {**inherited, **raw}
    take = raw.pop
    path, ftype = take("path", None), take("ftype", None)
    sha256, size = take("sha256", None), take("size", None)
    if type(path) is not str or type(ftype) is not str or not ftype:
        raise MetadataInvalid(f"item {name[:60]!r} has no path or no ftype")
    check_item_path(path)
    if type(sha256) is not str or not _is_sha256(sha256):
        raise _no_digest(path, sha256)
    if type(size) is not int or not 0 <= size < 1 << 60:
        size = _size(path, size)
    if not name.isprintable() or not 0 < len(name) <= MAX_NAME:
        _check_name(name, "an item")
    return Item(name, ftype, path, sha256, size, raw or {})


def _no_digest(path: str, sha256: object) -> DigestMissing:
    if isinstance(sha256, str) and _is_sha256(sha256.lower()):
        return DigestMissing(f"{path}: the sha256 is in upper case, which MAAS never finds equal")
    return DigestMissing(f"{path}: no sha256 of 64 hexadecimal digits")


def _size(path: str, size: object) -> int:
    if isinstance(size, str) and _is_number(size):
        return int(size)
    raise DigestMissing(f"{path}: no usable size (it says {str(size)[:40]!r})")


def _entry(content_id: str, raw: object) -> IndexEntry:
    check_content_id(content_id)
    what = f"index entry {content_id}"
    entry = _object(raw, what)
    form = _text(entry.get("format", PRODUCTS_FORMAT), f"'format' of {what}")
    path = _text(entry.get("path"), f"'path' of {what}")
    check_metadata_path(path)
    updated = _updated(entry, what) if entry.get("updated") is not None else None
    datatype = _text(entry.get("datatype", ""), f"'datatype' of {what}")
    return IndexEntry(
        content_id, path, datatype, form, updated, _names(entry.get("products"), what)
    )


def _names(value: object, what: str) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise MetadataInvalid(f"'products' of {what} is not a list of names")
    return frozenset(value)


def _decode(data: bytes, cap: int, what: str, form: str) -> dict[str, Any]:
    if len(data) > cap:
        raise MetadataTooLarge(f"{what} has {len(data)} bytes (limit {cap})")
    try:
        top = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJson(f"{what} is not JSON ({error}); it begins with {data[:40]!r}") from error
    except RecursionError as error:
        raise MetadataInvalid(f"{what} is nested too deeply") from error
    top = _object(top, what)
    if top.get("format") != form:
        raise MetadataInvalid(f"{what} has format {str(top.get('format'))[:60]!r}, not {form!r}")
    return top


def _object(value: object, what: str, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise MetadataInvalid(f"{what} {name}".rstrip() + " is missing, or is not an object")


def _text(value: object, what: str) -> str:
    if isinstance(value, str):
        return value
    raise MetadataInvalid(f"{what} is missing, or is not text")


def _updated(top: dict[str, Any], what: str) -> datetime:
    return parse_updated(_text(top.get("updated"), f"'updated' of {what}"))


def _check_name(name: str, what: str) -> None:
    """Refuse names that would garble a terminal or a log, or that no file system can hold."""
    if not name.isprintable() or not 0 < len(name) <= MAX_NAME:
        raise MetadataInvalid(f"unusable name of {what}: {name[:60]!r}")
