"""Lint one products file as MAAS would.

Written from MAAS's rules alone, and on purpose without a line of `write.py` or `kinds.py`: it is
what those are checked by.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mirror.simplestreams.lint_findings import Effect, Maas, MaasFinding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_BOOTLOADER = "bootloader"
_MULTI = "multi-file"
_SINGLE = "single-file"
_KINDS = (_SINGLE, _MULTI, _BOOTLOADER)
"""In the order of MAAS's preference, which tries them the other way round."""

DATATYPES = ("image-ids", "image-downloads")
_COMMON = ("arch", "label", "os")
_IMAGE = ("release", "release_title", "subarch", "subarches", "version")
_FIELDS = {
    _BOOTLOADER: ("arches", "bootloader-type"),
    _MULTI: (*_IMAGE, "kflavor", "krel", "release_codename"),
    _SINGLE: _IMAGE,
}
_NEEDED = {
    _BOOTLOADER: (),
    _MULTI: ("boot-initrd", "boot-kernel", "manifest"),
    _SINGLE: ("manifest", "root-tgz"),
}
_ONE_OF = {
    _BOOTLOADER: ("grub2-signed", "shim-signed", "grub2", "syslinux"),
    _MULTI: ("squashfs", "root-image.gz"),
    _SINGLE: ("root-tgz",),
}
_MODELLED = {kind: frozenset((*_NEEDED[kind], *_ONE_OF[kind])) for kind in _NEEDED}
_SOURCE_PACKAGE = ("src_package", "src_release", "src_version")
_NAMES = {
    _BOOTLOADER: re.compile(r".*:1:.*"),
    _MULTI: re.compile(r".*:v([23]|3\+platform):.*"),
    _SINGLE: re.compile(r""),
}
_KNOWN_BOOTLOADERS = {
    ("pxe", "pxelinux", "i386"),
    ("uefi", "grub-efi-signed", "amd64"),
    ("uefi", "grub-efi", "arm64"),
    ("open-firmware", "grub-ieee1275", "ppc64el"),
}
_DD = "root-dd root-dd.tar root-dd.raw root-dd.bz2 root-dd.gz root-dd.xz root-dd.tar.bz2"
_FTYPES = {
    *_DD.split(),
    *("root-dd.tar.xz", "root-tgz", "root-tbz", "root-txz", "root-image.gz", "squashfs"),
    *("boot-kernel", "boot-initrd", "boot-dtb", "archive.tar.xz"),
}
_sha256 = re.compile(r"[0-9a-f]{64}").fullmatch
_plain_path = re.compile(r"(?:[A-Za-z0-9_+~-][A-Za-z0-9._+~-]*/)*[A-Za-z0-9_+~-][A-Za-z0-9._+~-]*")
_date = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch
_digits = re.compile(r"[0-9]+", re.ASCII).fullmatch

Report = list[MaasFinding]


def lint_products(where: str, data: dict[str, Any]) -> Report:
    """Return what each MAAS makes of the products file `data`, which is named `where`."""
    findings = _lint_header(where, data)
    products = data.get("products")
    if not isinstance(products, dict) or not products:
        findings.append(
            MaasFinding(">=3.7", "fails", "products-empty", where, "there are no products")
        )
        return findings
    shapes = {name: _shapes(product) for name, product in products.items()}
    common = [kind for kind in _KINDS if all(kind in kinds for kinds in shapes.values())]
    if common:
        return findings + _lint_as(where, products, common)
    findings += _lint_mixture(where, shapes)
    for name, product in products.items():
        findings += _lint_as(where, {name: product}, shapes[name] or [""])
    return findings


def _lint_header(where: str, data: dict[str, Any]) -> Report:
    findings: Report = []
    if data.get("format") != "products:1.0":
        what = "format is not products:1.0"
        findings.append(MaasFinding(who_needs_format(data), "fails", "file-format", where, what))
    if not isinstance(data.get("content_id"), str):
        what = "there is no content_id"
        findings.append(MaasFinding("all", "fails", "file-content-id", where, what))
    if data.get("datatype") not in DATATYPES:
        what = f"datatype is none of {', '.join(DATATYPES)}"
        findings.append(MaasFinding(">=3.7", "fails", "file-datatype", where, what))
    if not is_time(data.get("updated")):
        what = "updated can't be read"
        findings.append(MaasFinding(">=3.7", "fails", "file-updated", where, what))
    return findings


def _lint_as(where: str, products: dict[str, Any], kinds: Iterable[str]) -> Report:
    """Lint the products as each of `kinds`, and return what is said of the one that fits best.

    MAAS tries each, and takes the last that fits without an error.
    """
    attempts = []
    for kind in kinds:
        linter = _Linter(kind)
        for name, product in products.items():
            linter.product(f"{where} {name}", name, product)
        attempts.append(linter.findings)
    return min(attempts, key=lambda findings: sum(f.effect == "fails" for f in findings))


def _lint_mixture(where: str, shapes: dict[str, list[str]]) -> Report:
    examples = {kind: name for name, kinds in shapes.items() for kind in kinds}
    if len(examples) < 2:
        return []
    what = ", ".join(f"{kind} ({name})" for kind, name in examples.items())
    what = f"products of several kinds: {what}"
    return [MaasFinding(">=3.7", "fails", "mixed-kinds", where, what)]


class _Linter:
    """Collects the findings on products, read as one kind ('' if they are of none)."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._modelled = _MODELLED.get(kind, frozenset())
        self.findings: Report = []

    def _say(self, maas: Maas, effect: Effect, code: str, where: str, message: str) -> None:
        self.findings.append(MaasFinding(maas, effect, code, where, message))

    def product(self, where: str, name: str, product: object) -> None:
        if not isinstance(product, dict):
            self._say("all", "fails", "product-attribute", where, "the product is not an object")
            return
        if not self.kind:
            what = "MAAS knows no kind of product with these items"
            self._say(">=3.7", "fails", "kind-unknown", where, what)
        self._attributes(where, product)
        if self.kind:
            self._as_kind(where, name, product)
        versions = product.get("versions")
        if not isinstance(versions, dict) or not versions:
            self._say(">=3.7", "fails", "no-versions", where, "the product has no versions")
            return
        for version_name, version in versions.items():
            self._version(f"{where} {version_name}", version)

    def _attributes(self, where: str, product: dict[str, Any]) -> None:
        for key in (*_COMMON, *_FIELDS.get(self.kind, ())):
            if not isinstance(product.get(key), str):
                what = f"{key} is missing or no text"
                self._say(">=3.7", "fails", "product-attribute", where, what)
                if key in {"arch", "label"}:
                    self._say("<=3.6", "fails", "product-attribute", where, what)
        for key in ("os", "release"):
            if len(str(product.get(key, ""))) > 20:
                what = f"{key} is longer than the 20 characters of MAAS's database"
                self._say(">=3.7", "fails", "too-long", where, what)
        if product.get("os") == "custom":
            what = "MAAS deploys os custom from images only that were uploaded to it"
            self._say("all", "ignores", "os-custom", where, what)
        if not _is_date(product.get("support_eol")):
            what = "support_eol is neither YYYY-MM-DD nor null"
            self._say(">=3.7", "fails", "eol", where, what)
        if "product_name" in product:
            what = "an attribute named product_name clashes with MAAS's own"
            self._say(">=3.7", "fails", "product-name-key", where, what)
        if product.get("rolling") and "-" not in str(product.get("subarch", "")):
            what = "rolling, with a subarch without '-': rack controllers stumble over it"
            self._say("<=3.6", "fails", "rolling", where, what)

    def _as_kind(self, where: str, name: str, product: dict[str, Any]) -> None:
        kind = self.kind
        if not _NAMES[kind].match(name):
            what = f"MAAS takes {kind} products named like {_NAMES[kind].pattern} only"
            self._say("all", "ignores", "product-name", where, what)
        if kind == _BOOTLOADER:
            key = tuple(str(product.get(k)) for k in ("bootloader-type", "os", "arch"))
            if key not in _KNOWN_BOOTLOADERS:
                what = f"MAAS takes no bootloader of {'/'.join(key)}"
                self._say("all", "ignores", "bootloader-unknown", where, what)
            return
        if "support_eol" not in product:
            what = "support_eol must be there, if only as null"
            self._say(">=3.7", "fails", "eol", where, what)
        if kind == _MULTI and not product.get("kflavor"):
            what = "without kflavor there is no image to commission with"
            self._say("<=3.6", "ignores", "kflavor", where, what)

    def _version(self, where: str, version: object) -> None:
        items = version.get("items") if isinstance(version, dict) else None
        if not isinstance(version, dict) or not isinstance(items, dict) or not items:
            self._say("all", "fails", "no-items", where, "the version has no items")
            return
        self._version_attributes(where, version, items)
        if self.kind:
            self._complete(where, items)
        for name, item in items.items():
            if not isinstance(item, dict):
                self._say("all", "fails", "item-attribute", f"{where} {name}", "it is no object")
                continue
            self._item(where, name, item)
            if name in self._modelled:
                self._modelled_item(where, name, item)
        self._file_names(where, items)

    def _version_attributes(
        self, where: str, version: dict[str, Any], items: dict[str, Any]
    ) -> None:
        if "version_name" in version or "version_name" in items:
            what = "something named version_name clashes with MAAS's own"
            self._say(">=3.7", "fails", "version-name-key", where, what)
        for key in ("support_eol", "support_esm_eol"):
            if not _is_date(items.get(key, version.get(key))):
                self._say(">=3.7", "fails", "eol", where, f"{key} is no date")
        for name in sorted(self._modelled & version.keys() - items.keys()):
            what = f"an attribute called {name} is taken for the item of that name"
            self._say(">=3.7", "fails", "version-attribute", where, what)

    def _complete(self, where: str, items: dict[str, Any]) -> None:
        for name in _NEEDED[self.kind]:
            if name not in items:
                self._say(">=3.7", "fails", "version-item", where, f"there is no item {name}")
        if not any(name in items for name in _ONE_OF[self.kind]):
            what = f"there is none of the items {', '.join(_ONE_OF[self.kind])}"
            self._say(">=3.7", "fails", "version-item", where, what)

    def _file_names(self, where: str, items: dict[str, Any]) -> None:
        paths = [str(item.get("path")) for item in items.values() if isinstance(item, dict)]
        if len({path.split("/")[-1] for path in paths}) != len(paths):
            what = "two items have the same file name, by which MAAS keeps them apart"
            self._say(">=3.7", "fails", "same-file-name", where, what)

    def _item(self, where: str, name: str, item: dict[str, Any]) -> None:
        path, sha256, size = item.get("path"), item.get("sha256"), item.get("size")
        if not isinstance(path, str) or not path:
            self._say("all", "fails", "item-attribute", f"{where} {name}", "there is no path")
        elif not _plain_path.fullmatch(path) or path.startswith("streams/"):
            for maas, what in _path_trouble(path):
                self._say(maas, "fails", "item-path", f"{where} {name}", what)
        if not isinstance(sha256, str) or not _sha256(sha256):
            what = "sha256 must be 64 hexadecimal digits, in lower case"
            self._say("all", "fails", "item-sha256", f"{where} {name}", what)
        if type(size) is not int or size < 0:
            self._size(f"{where} {name}", size)
        ftype = item.get("ftype")
        if not isinstance(ftype, str):
            self._say("all", "fails", "item-attribute", f"{where} {name}", "there is no ftype")
        elif ftype not in _FTYPES and ftype != "manifest":
            what = f"MAAS knows no ftype {ftype}"
            self._say("<=3.6", "ignores", "item-ftype", f"{where} {name}", what)

    def _size(self, where: str, size: object) -> None:
        maas: Maas = "<=3.6" if isinstance(size, str) and _digits(size) else "all"
        self._say(maas, "fails", "item-size", where, f"size is no whole number: {size!r}")

    def _modelled_item(self, where: str, name: str, item: dict[str, Any]) -> None:
        if name != "manifest" and str(item.get("ftype")) not in _FTYPES:
            what = "MAAS can't record a file of this ftype"
            self._say(">=3.7", "fails", "item-ftype", f"{where} {name}", what)
        if self.kind == _BOOTLOADER:
            for key in _SOURCE_PACKAGE:
                if not isinstance(item.get(key), str):
                    what = f"{key} is missing or no text"
                    self._say(">=3.7", "fails", "item-attribute", f"{where} {name}", what)
        elif not isinstance(item.get("kpackage"), str | None):
            self._say(">=3.7", "fails", "item-attribute", f"{where} {name}", "kpackage is no text")


def who_needs_format(data: dict[str, Any]) -> Maas:
    """Return who fails on a wrong `format`: MAAS 3.7+ only minds if it is there, and no text."""
    return "<=3.6" if isinstance(data.get("format", ""), str) else "all"


def is_time(value: object) -> bool:
    """Say whether MAAS 3.7+ reads it as the time of a file. It knows no `GMT`."""
    return isinstance(value, str) and (
        _reads(lambda text: datetime.strptime(text, "%a, %d %b %Y %H:%M:%S %z"), value)
        or _reads(datetime.fromisoformat, value)
    )


def _is_date(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, str) and bool(_date(value)) and _reads(date.fromisoformat, value)


def _reads(reader: Callable[[str], object], text: str) -> bool:
    try:
        reader(text)
    except ValueError:
        return False
    return True


def _shapes(product: object) -> list[str]:
    """Return the kinds that the product might be meant as, in the order of `_KINDS`."""
    versions = product.get("versions") if isinstance(product, dict) else None
    names: set[str] = set()
    for version in versions.values() if isinstance(versions, dict) else ():
        if isinstance(version, dict) and isinstance(version.get("items"), dict):
            names.update(version["items"])
    return [kind for kind in _KINDS if not names.isdisjoint(_MODELLED[kind] - {"manifest"})]


def _path_trouble(path: str) -> Iterator[tuple[Maas, str]]:
    """Say who reads a path that is not a plain one differently from the rest."""
    if ":" in path.partition("/")[0]:
        yield ">=3.7", f"{path!r}: what is before ':' is taken for the scheme of a URL"
    if path.startswith("/") or ".." in path.split("/"):
        yield "<=3.6", f"{path!r} is absolute or climbs"
    if path.startswith("//"):
        yield ">=3.7", f"{path!r} leads to another host"
    if re.search(r"[\x00-\x1f\x7f\\?#]", path):
        yield "all", f"{path!r} has a character that URLs give a meaning to"
    if path.startswith("streams/"):
        yield "all", f"{path!r} is among the metadata"
