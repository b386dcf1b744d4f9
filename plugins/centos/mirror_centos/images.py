"""CentOS images: a root tarball for each release and architecture."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mirror.api import Distribution, Finding, Placement, Severity
from mirror_centos.checks import check
from mirror_centos.manifest import read_manifest
from mirror_centos.releases import last_day, release_of, said_last_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from pathlib import Path

    from mirror.api import Item, Package, Product, Version
    from mirror_centos.settings import CentosSettings

MANIFEST = "manifest"
ROOTS = ("root-tgz", "root-txz", "root-tbz")
"""The forms of a root file system that MAAS installs for CentOS, the best one first: MAAS 3.7 and
newer takes nothing but the first."""


class CentosImages(Distribution):
    """The products of `os: centos`."""

    id = "centos"

    def __init__(self, settings: CentosSettings) -> None:
        self.settings = settings

    def claims(self, product: Product) -> bool:
        """Claim `os: centos`, but for images that an operator has put in."""
        return product.os == "centos" and not product.is_custom

    def describe(self, product: Product) -> str:
        """Return `CentOS 7 (centos70), amd64`."""
        title = product.attributes.get("release_title") or release_of(product).title
        subarch = product.attributes.get("subarch", "generic")
        kernel = "" if subarch == "generic" else f", {subarch}"
        return f"{title} ({product.release}), {product.arch}{kernel}"

    def choose_items(self, product: Product, version: Version) -> Iterable[Item]:
        """Choose a root tarball, and the manifest that MAAS 3.7+ asks for; both or none."""
        del product
        items = {item.name: item for item in version.items}
        root = next((items[name] for name in ROOTS if name in items), None)
        return [items[MANIFEST], root] if root and MANIFEST in items else []

    def validate(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Finding]:
        """Read the manifest and all of the root tarball; docs/centos.md lists what may be found."""
        del version
        root = next((name for name in ROOTS if name in files), "")
        if root:
            yield from check(product, root, files[root], files.get(MANIFEST))

    def packages(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Package]:
        """List what the manifest does."""
        del product, version
        return read_manifest(files[MANIFEST]) if MANIFEST in files else ()

    def notices(self, product: Product, today: date) -> Iterable[Finding]:
        """Say that support has ended, or ends within `warn_days`."""
        last = last_day(product)
        if last is None:
            return
        name, said = release_of(product).title, said_last_day(product)
        if last < today:
            what = f"{name} has had no updates since {last}"
            if said and said > last:
                what += f", although the boot source says that support ends on {said}"
            yield Finding(Severity.WARNING, "centos-eol", "", what)
        elif last - today <= timedelta(days=self.settings.warn_days):
            what = f"support for {name} ends on {last}, in {(last - today).days} days"
            yield Finding(Severity.WARNING, "centos-eol-near", "", what)

    def lay_out(self, product: Product, version: Version) -> Iterable[Placement]:
        """Put the root tarball where MAAS's own rack controllers have it."""
        about = product.attributes
        words = [str(about.get(key, "")) for key in ("os", "arch", "subarch", "release", "label")]
        if not all(word and "/" not in word and word not in {".", ".."} for word in words):
            return
        for item in self.choose_items(product, version):
            if item.name != MANIFEST:
                file = item.path.rpartition("/")[2]
                yield Placement(item.name, "/".join((*words, file)))
