"""The operator's own images, as a distribution: each question goes to the module that knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Distribution, Finding, Severity
from mirror.formats import FormatError
from mirror_custom_images.packages.memory import LastManifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from mirror.api import BuildOrder, Built, Derived, Item, Package, Product, Version


class CustomImages(Distribution):
    """Images that an operator has built, of any operating system."""

    id = "custom-images"

    def __init__(self) -> None:
        self._manifests = LastManifest()

    def claims(self, product: Product) -> bool:
        """Claim what operators put in."""
        return product.is_custom

    def describe(self, product: Product) -> str:
        """Name it as the operator did."""
        title = product.attributes.get("release_title") or f"{product.os}/{product.release}"
        subarch = product.attributes.get("subarch", "generic")
        return f"{title}, {product.arch}/{subarch}"

    def choose_items(self, product: Product, version: Version) -> Iterable[Item]:
        """Take the image, and its manifest; nothing of a version without an image."""
        del product
        from mirror.formats import FTYPES

        if not any(each.ftype in FTYPES for each in version.items):
            return ()
        return [each for each in version.items if each.ftype in FTYPES or each.name == "manifest"]

    def validate(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Finding]:
        """Check the image to its bottom: a root file system, or a disk."""
        from pathlib import Path
        from tempfile import TemporaryDirectory

        from mirror_custom_images.checks import disk_image, root_squashfs, root_tarball

        keep = self._manifests.keep
        for item in version.items:
            file = files.get(item.name)
            if file is None:
                continue
            if item.name == "manifest":
                yield from _check_manifest(item.name, file)
            elif item.ftype in root_tarball.FTYPES:
                yield from root_tarball.check(product, version, item, file, keep)
            elif item.ftype == root_squashfs.FTYPE:
                yield from root_squashfs.check(product, version, item, file, keep)
            elif item.ftype in disk_image.FTYPES:
                with TemporaryDirectory() as scratch:
                    yield from disk_image.check(
                        product, version, item, file, Path(scratch), keep=keep
                    )

    def derive(
        self, product: Product, version: Version, files: Mapping[str, Path], scratch: Path
    ) -> Iterable[Derived]:
        """Make the manifest that MAAS 3.7 and newer asks for, where the version has none."""
        from mirror_custom_images.packages.derive import derive_manifest

        return derive_manifest(product, version, files, scratch, self._manifests)

    def packages(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> Iterable[Package]:
        """List what the manifest does: nothing, where it lists files or facts."""
        del product, version
        from mirror_custom_images.packages.manifest import read_manifest

        return read_manifest(files["manifest"]) if "manifest" in files else ()

    def build(
        self,
        product: Product,
        file: Path,
        order: BuildOrder,
        scratch: Path,
        report: Callable[[int, int], None],
    ) -> Built:
        """Make an image of a disk in any form, or of a tar in the wrong wrapping."""
        from mirror_custom_images.building import build

        return build(product, file, order, scratch, report)


def _check_manifest(name: str, file: Path) -> Iterable[Finding]:
    """Find what is no manifest: of an image that another mirror offers."""
    from mirror_custom_images.packages.manifest import read_manifest

    try:
        if not file.stat().st_size:
            raise FormatError("is empty")
        read_manifest(file)
    except FormatError as error:
        yield Finding(
            Severity.ERROR,
            "custom-images-manifest",
            name,
            f"the manifest {error}: get the image anew",
        )
