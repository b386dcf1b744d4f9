"""Packages of images: what a plugin lists, in its process, and what is made of it."""

from __future__ import annotations

import pytest
from listing import LISTING

from mirror.errors import (
    BlobCorrupt,
    BlobMissing,
    ClaimConflict,
    ManifestUnreadable,
    NoManifest,
    PluginCrashed,
    PluginError,
)
from mirror.isolation.workshop import Workshop
from mirror.model import Item, Product, Version
from mirror.plugin_manager import load_plugins
from mirror.publish.packages import (
    CHECKED,
    Lister,
    Package,
    PackageChange,
    compare_packages,
    sound_packages,
)
from mirror.settings import PluginSettings
from mirror.store.blobs import LocalBlobs

OLD = b"adduser\t3.137ubuntu1\nlibc6:amd64\t2.39-0ubuntu8.4\nsnap:core22\tlatest/stable 1748\n"
NEW = OLD.replace(b"3.137", b"3.138")


class Bench:
    """Blobs, and a way to let an installed plugin list what is in them."""

    def __init__(self, tmp_path, install_plugin) -> None:
        self.blobs = LocalBlobs(tmp_path / "blobs")
        self._root = tmp_path
        self._install = install_plugin

    def version(self, name: str, **files: bytes) -> Version:
        refs = {item: self.blobs.add_bytes(content) for item, content in files.items()}
        items = (Item(i, i, f"noble/{name}/{i}", ref.sha256, ref.size) for i, ref in refs.items())
        return Version(name, tuple(items))

    async def list(self, *versions: Version, body: str = "", os: str = "ubuntu"):
        """Return what is listed of the versions: packages of one, the difference of two."""
        source = LISTING
        if body:
            head, _, tail = LISTING.partition("        assert product.versions")
            source = f"{head}        {body}\n\n@hookimpl{tail.rpartition('@hookimpl')[2]}"
        self._install("listing", source)
        plugins = load_plugins(allow=["listing"], strict=True)
        product = Product("noble", "c", {"os": os}, versions)
        scratch = self._root / "scratch"
        scratch.mkdir()
        async with Workshop(
            PluginSettings(), plugins, scratch=scratch, readable=(self.blobs.root,)
        ) as workshop:
            lister = Lister(workshop, plugins, self.blobs)
            if len(versions) == 2:
                return await lister.compare(product, *versions)
            return await lister.list(product, versions[0])


@pytest.fixture
def bench(tmp_path, install_plugin) -> Bench:
    return Bench(tmp_path, install_plugin)


async def test_what_the_plugin_lists(bench):
    version = bench.version("1", manifest=OLD + b"kernel 1\nkernel 2\n", squashfs=b"x" * 9)
    assert await bench.list(version) == {
        "adduser": ("3.137ubuntu1",),
        "libc6:amd64": ("2.39-0ubuntu8.4",),
        "snap:core22": ("latest/stable 1748",),
        "kernel": ("1", "2"),
    }


async def test_two_versions_are_compared(bench):
    found = await bench.list(bench.version("1", manifest=OLD), bench.version("2", manifest=NEW))
    assert found.changed == (PackageChange("adduser", "3.137ubuntu1", "3.138ubuntu1"),)
    assert (found.product, found.old, found.new, found.same) == ("noble", "1", "2", 2)


async def test_a_list_that_the_plugin_can_not_read(bench):
    with pytest.raises(ManifestUnreadable, match=r"'noble' 1.*is no text"):
        await bench.list(bench.version("1", manifest=b"\x1b[31m"))


async def test_nothing_to_list(bench):
    with pytest.raises(NoManifest, match="lists no packages"):
        await bench.list(bench.version("1", shim=b"x"))


async def test_a_product_that_no_plugin_claims(bench):
    with pytest.raises(NoManifest, match="no plugin claims it"):
        await bench.list(bench.version("1", manifest=OLD), os="haiku")


async def test_a_product_that_two_plugins_claim(bench, install_plugin):
    other = LISTING.replace('id = "listing"', 'id = "other"')
    install_plugin("other", other)
    install_plugin("listing", LISTING)
    plugins = load_plugins(allow=["listing", "other"], strict=True)
    version = bench.version("1", manifest=OLD)
    lister = Lister(None, plugins, bench.blobs)
    with pytest.raises(ClaimConflict):
        await lister.list(Product("noble", "c", {"os": "ubuntu"}, (version,)), version)


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        ("raise KeyError('oops')", PluginError, "oops"),
        ("return 5", PluginError, "listing"),
        ("return ['bash']", PluginError, "listing"),
        ("__import__('os')._exit(3)", PluginCrashed, "listing"),
        ("yield Package('bash', '5\\x1b[31m')", ManifestUnreadable, "no package's name"),
        ("yield Package('ba\\u202esh', '5')", ManifestUnreadable, "no package's name"),
        ("yield Package('', '5')", ManifestUnreadable, "no package's name"),
        ("yield Package('bash', '5' * 301)", ManifestUnreadable, "no package's name"),
        (
            "yield from (Package(f'p{n}', '1') for n in range(50_001))",
            ManifestUnreadable,
            "more than 50,000",
        ),
        ("while True: yield Package('bash', '5')", PluginError, "listing"),
    ],
)
async def test_a_plugin_that_fails_or_lies(bench, body, error, said):
    with pytest.raises(error, match=said) as caught:
        await bench.list(bench.version("1", manifest=OLD), body=body)
    assert caught.value.what.isprintable()


async def test_files_are_what_was_signed(bench):
    version = bench.version("1", manifest=OLD, squashfs=b"x" * (CHECKED + 1))
    manifest, squashfs = (bench.blobs.path(item.sha256) for item in version.items)
    for path in (manifest, squashfs):
        path.chmod(0o644)
    manifest.write_bytes(OLD.replace(b"3.137", b"3.138"))
    with pytest.raises(BlobCorrupt, match="manifest"):
        await bench.list(version)


@pytest.mark.parametrize(("item", "error"), [(0, BlobMissing), (1, BlobMissing)])
async def test_files_that_are_gone(bench, item, error):
    version = bench.version("1", manifest=OLD, squashfs=b"x" * (CHECKED + 1))
    bench.blobs.path(version.items[item].sha256).unlink()
    with pytest.raises(error, match=version.items[item].path):
        await bench.list(version)


async def test_a_large_file_that_is_cut(bench):
    version = bench.version("1", manifest=OLD, squashfs=b"x" * (CHECKED + 1))
    path = bench.blobs.path(version.items[1].sha256)
    path.chmod(0o644)
    path.write_bytes(b"x" * CHECKED)
    with pytest.raises(BlobCorrupt, match="squashfs"):
        await bench.list(version)


def test_what_differs():
    old = {"gone": ("1",), "same": ("1",), "newer": ("1",), "kernel": ("1", "2")}
    new = {"come": ("1",), "same": ("1",), "newer": ("2",), "kernel": ("2", "3")}
    found = compare_packages("noble", ("v1", old), ("v2", new))
    assert found.added == (Package("come", "1"),)
    assert found.removed == (Package("gone", "1"),)
    assert found.changed == (
        PackageChange("kernel", "1, 2", "2, 3"),
        PackageChange("newer", "1", "2"),
    )
    assert (found.same, found.old, found.new) == (1, "v1", "v2")


def test_versions_of_one_package_are_sorted_and_counted_once():
    listed = [Package("k", "2"), Package("k", "1"), Package("k", "2")]
    assert sound_packages(listed, "m") == {"k": ("1", "2")}
