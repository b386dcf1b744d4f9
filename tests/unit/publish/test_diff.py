from __future__ import annotations

from mirror.model import Item, Product, Version
from mirror.publish.diff import ItemChange, VersionSize, diff_products
from mirror.sync.plan import Planned


def planned(name: str, versions: dict[str, dict[str, int]], source="main", **more) -> Planned:
    """Make a product of versions, each with items of a size; the digest is of name and size."""
    made = tuple(
        Version(
            version,
            tuple(
                Item(item, item, f"{name}/{version}/{item}", f"{item}{size}".ljust(64, "0"), size)
                for item, size in items.items()
            ),
        )
        for version, items in versions.items()
    )
    attributes = {"os": "ubuntu", "release": name, "arch": "amd64", **more}
    return Planned(Product(name, "c", attributes, made), source)


def diff(old: list[Planned], new: list[Planned]):
    return diff_products(
        ("old", {each.product.name: each for each in old}),
        ("new", {each.product.name: each for each in new}),
    )


def test_the_same_twice() -> None:
    products = [planned("noble", {"1": {"kernel": 3}})]
    found = diff(products, products)
    assert (found.products, found.same) == ((), 1)
    assert (found.bytes_added, found.bytes_removed) == (0, 0)


def test_products_and_versions_that_came_and_went() -> None:
    found = diff(
        [planned("focal", {"1": {"kernel": 1}}), planned("noble", {"1": {"kernel": 2}})],
        [planned("jammy", {"1": {"kernel": 3}}), planned("noble", {"2": {"kernel": 4, "m": 5}})],
    )
    focal, jammy, noble = found.products
    assert (focal.change, focal.removed) == ("removed", (VersionSize("1", 1),))
    assert (jammy.change, jammy.added) == ("added", (VersionSize("1", 3),))
    assert (noble.change, noble.release) == ("changed", "noble")
    assert (noble.added, noble.removed) == ((VersionSize("2", 9),), (VersionSize("1", 2),))
    assert (found.bytes_added, found.bytes_removed) == (3 + 4 + 5, 1 + 2)


def test_files_of_a_version_that_changed() -> None:
    found = diff(
        [planned("noble", {"1": {"kernel": 1, "initrd": 2, "squashfs": 3}})],
        [planned("noble", {"1": {"kernel": 1, "initrd": 4, "manifest": 5}})],
    )
    [noble] = found.products
    assert {(i.item, i.old_bytes, i.new_bytes) for i in noble.items} == {
        ("initrd", 2, 4),
        ("manifest", 0, 5),
        ("squashfs", 3, 0),
    }
    assert isinstance(noble.items[0], ItemChange)
    assert noble.items[0].version == "1"


def test_attributes_and_source() -> None:
    one = planned("noble", {"1": {"kernel": 1}}, support_eol="2029", krel="noble")
    two = planned("noble", {"1": {"kernel": 1}}, "other", support_eol="2030", title="x")
    [noble] = diff([one], [two]).products
    assert noble.attributes == ("krel", "support_eol", "title")
    assert noble.source == ("main", "other")
