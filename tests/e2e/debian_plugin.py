"""Debian's root file systems: a plugin that the tests install as a user installs one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Distribution, Finding, Package, Placement, Severity, hookimpl
from mirror.formats import FormatError, read_archive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mirror.api import Item, Product, Version

requires_api = (1, 0)

ROOT, MANIFEST = "root-tgz", "manifest"
LIMIT = 8 << 30


class DebianImages(Distribution):
    """The products of `os: debian`."""

    id = "debian"

    def claims(self, product: Product) -> bool:
        return product.os == "debian"

    def describe(self, product: Product) -> str:
        return f"{product.attributes['release_title']} ({product.release}), {product.arch}"

    def choose_items(self, product: Product, version: Version) -> Iterable[Item]:
        chosen = [item for item in version.items if item.name in {ROOT, MANIFEST}]
        return chosen if len(chosen) == 2 else []

    def validate(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Finding]:
        if ROOT not in files:
            return
        releases = {}
        try:
            for member, content in read_archive(files[ROOT], limit=LIMIT):
                if member.name == "usr/lib/os-release":
                    releases[member.name] = content.read(4096).decode()
        except FormatError as error:
            yield Finding(Severity.ERROR, "debian-root-tgz", ROOT, f"the {ROOT} {error}")
            return
        named = f"VERSION_CODENAME={product.release}\n"
        if not any("ID=debian\n" in text and named in text for text in releases.values()):
            what = f"it is not Debian {product.release}"
            yield Finding(Severity.ERROR, "debian-release", f"{ROOT}: usr/lib/os-release", what)

    def packages(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Package]:
        for line in files[MANIFEST].read_text().splitlines():
            yield Package(*line.split("\t"))

    def lay_out(self, product: Product, version: Version) -> Iterable[Placement]:
        yield Placement(ROOT, f"debian/{product.arch}/{product.release}/{ROOT}")


@hookimpl
def mirror_distributions() -> Iterable[Distribution]:
    return [DebianImages()]
