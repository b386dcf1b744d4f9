"""Checks of what the distribution makes of files: further items, and a list of packages."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

from mirror.errors import ManifestUnreadable, MirrorError, UnsafePath
from mirror.model import Item
from mirror.simplestreams.paths import check_item_path
from mirror.testing import spoil
from mirror.testing.conformance.specimen import Wrong, must, names
from mirror.testing.conformance.streams import objections, with_items

if TYPE_CHECKING:
    from pathlib import Path

    from mirror.api import Derived, Package
    from mirror.model import Product, Version
    from mirror.testing.conformance.specimen import Specimen

_MOST_PACKAGES = 20_000


class MakingChecks:
    """What it derives, and which packages it lists."""

    def test_derives_twice_the_same(self, specimen: Specimen) -> None:
        """`derive` must make the same bytes of the same files: racks compare by digest."""
        made_any = False
        for product, version in specimen.newest():
            first = derived_items(specimen, product, version)
            then = derived_items(specimen, product, version)
            must(first == then, f"{product.name}: derive makes {first}, and then {then}")
            made_any = made_any or bool(first)
        must(
            made_any or not specimen.overrides("derive"),
            "derive is overridden and makes nothing of the sample: leave it out",
        )

    def test_derived_items_are_publishable(self, specimen: Specimen) -> None:
        """What `derive` makes needs a safe path, a name of its own, and to pass every MAAS."""
        for product, version in specimen.newest():
            made = derived_items(specimen, product, version)
            for item in made:
                try:
                    check_item_path(item.path)
                except UnsafePath as error:
                    must(None, f"{product.name}: derived item {item.name}: {error}")
            taken = {item.name for item in version.items} | {item.path for item in version.items}
            clash = [i.name for i in made if i.name in taken or i.path in taken]
            must(not clash, f"{product.name}: upstream has {names(clash)} already")
            must(
                len({i.name for i in made}) == len({i.path for i in made}) == len(made),
                f"{product.name}: two derived items have one name or path: {made}",
            )
            whole = with_items(product, version, (*specimen.chosen(product, version), *made))
            said = objections([whole])
            must(not said, f"with what it derives, the product is nothing for MAAS: {said}")

    def test_lists_packages(self, specimen: Specimen) -> None:
        """`packages` must list names and versions, the same each time."""
        listed_any = False
        for product, version in specimen.newest():
            files = specimen.files(product, version)
            first = specimen.packages(product, version, files)
            must(
                first == specimen.packages(product, version, files),
                f"{product.name}: packages lists something else each time",
            )
            must(
                len(first) <= _MOST_PACKAGES and len(set(first)) == len(first),
                f"{product.name}: packages lists {len(first)}, some of them twice",
            )
            odd = [each for each in first if not is_package(each)]
            must(not odd, f"{product.name}: no package with a version: {odd[:3]}")
            listed_any = listed_any or bool(first)
        must(
            listed_any or not specimen.overrides("packages"),
            "packages is overridden and lists none of the sample's: leave it out",
        )

    def test_packages_survives_bad_lists(self, specimen: Specimen) -> None:
        """`packages` may raise `FormatError` alone, whatever has become of the files."""
        for product, version in specimen.newest():
            files = specimen.files(product, version)
            _check_packages(specimen, product, version, {}, "without files")
            for how, spoilt in spoil.GENERIC.items():
                for name, file in files.items():
                    bad = specimen.with_bad(files, {name: spoilt(file.read_bytes())})
                    _check_packages(specimen, product, version, bad, f"{how} as the {name}")


def derived_items(specimen: Specimen, product: Product, version: Version) -> tuple[Item, ...]:
    """Let the plugin derive from the good files; return what it made as the mirror lists it."""
    inspected = specimen.inspect(product, version, specimen.files(product, version))
    if inspected.folder is None:
        must(not inspected.derived, f"{product.name}: what it derived is not below scratch")
        return ()
    try:
        return tuple(_item(each, inspected.folder) for each in inspected.derived)
    finally:
        shutil.rmtree(inspected.folder, ignore_errors=True)


def _item(derived: Derived, folder: Path) -> Item:
    file = derived.file.resolve()
    must(
        file.is_relative_to(folder.resolve()) and file.is_file() and not derived.file.is_symlink(),
        f"derived item {derived.name} is no file below scratch: {derived.file}",
    )
    data = file.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return Item(derived.name, derived.ftype, derived.path, digest, len(data), derived.attributes)


def is_package(package: Package) -> bool:
    """Say whether it has a name, without a space, and a version, with no more than single ones."""
    name, version = package.name, package.version
    texts = all(isinstance(each, str) and each and each.isprintable() for each in (name, version))
    return texts and " " not in name and " ".join(version.split()) == version


def _check_packages(
    specimen: Specimen, product: Product, version: Version, files: dict[str, Path], why: str
) -> None:
    try:
        specimen.packages(product, version, files)
    except ManifestUnreadable:
        return
    except MirrorError as error:
        raise Wrong(f"packages of {product.name}, {why}: not FormatError, but {error}") from error
