"""CentOS images: a root-tgz for each release and architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Distribution, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mirror.api import Item, Product, Version

_ITEMS = ("manifest", "root-tgz")
_GZIP_MAGIC = b"\x1f\x8b"


class CentosImages(Distribution):
    """The products of `os: centos`."""

    id = "centos"

    def claims(self, product: Product) -> bool:
        """Claim `os: centos`."""
        return product.os == "centos"

    def describe(self, product: Product) -> str:
        """Return `CentOS 7 (centos70), amd64`."""
        title = product.attributes.get("release_title", "CentOS")
        return f"{title} ({product.release}), {product.arch}"

    def choose_items(self, product: Product, version: Version) -> Iterable[Item]:
        """Choose the root tarball and the manifest that MAAS 3.7+ asks for; both or none."""
        del product
        items = {item.name: item for item in version.items}
        chosen = [items[name] for name in _ITEMS if name in items]
        return chosen if len(chosen) == len(_ITEMS) else []

    def validate(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Finding]:
        """Check that the root tarball is gzip."""
        del version
        file = files.get("root-tgz")
        if file is None:
            return
        with file.open("rb") as stream:
            gzipped = stream.read(2) == _GZIP_MAGIC
        if not gzipped:
            message = "the root-tgz is not a gzip archive"
            yield Finding(Severity.ERROR, "centos-root-tgz", product.name, message)
