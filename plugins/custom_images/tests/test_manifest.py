"""The manifest of an image: packages where they can be read, files or facts where not."""

from __future__ import annotations

import package_builder
import pytest
from mirror_custom_images.checks import root_squashfs
from mirror_custom_images.images import CustomImages
from mirror_custom_images.packages import collect, derive, manifest
from mirror_custom_images.packages.collect import ManifestCollector
from mirror_custom_images.packages.manifest import (
    facts_manifest,
    file_manifest,
    package_manifest,
    read_manifest,
)
from root_builder import Node, debian, folder, product, put, rhel, text, tgz, version_of, without

from mirror.api import Package
from mirror.formats import FormatError
from mirror.testing import artefacts
from mirror.testing.tools import tool

FILES = "# No list of packages can be read in this image; these are its files.\n"


def derived(data: bytes, where, *, validated: bool = True, ftype: str = "root-tgz") -> str:
    """Let the plugin validate and derive, as the mirror has it do; return the manifest."""
    images = CustomImages()
    file = where / "image"
    file.write_bytes(data)
    version, item = version_of(data, ftype)
    files = {item.name: file}
    made = product("custom/mine")
    if validated:
        list(images.validate(made, version, files))
        file.unlink()  # it is not read a second time
    scratch = where / "scratch"
    scratch.mkdir()
    (found,) = images.derive(made, version, files, scratch)
    assert (found.name, found.ftype) == ("manifest", "manifest")
    assert found.path == "custom/x/20260101/manifest"
    text = found.file.read_text()
    listed = list(images.packages(made, version, {**files, "manifest": found.file}))
    assert bool(listed) is not text.startswith("#")
    found.file.unlink()
    scratch.rmdir()
    return text


DEBIAN = "bash\t5.2-1\nlibc6:amd64\t2.36-9\n"


@pytest.mark.parametrize("validated", [True, False])
def test_packages_of_dpkg(tmp_path, validated):
    assert derived(tgz(debian()), tmp_path, validated=validated) == DEBIAN


@pytest.mark.parametrize(
    "folder_name", ["var/lib/rpm", "usr/lib/sysimage/rpm"], ids=["EL 9", "EL 10"]
)
def test_packages_of_rpm(tmp_path, folder_name):
    database = package_builder.rpm_database(tmp_path).read_bytes()
    tree = put(f"{folder_name}/rpmdb.sqlite", Node(content=database))(rhel())
    lines = [f"{name}\t{version}\n" for name, version in package_builder.LISTED]
    assert derived(tgz(tree), tmp_path) == "".join(lines)


def test_packages_of_older_and_other_forms(tmp_path):
    blobs = [package_builder.header("glibc", "2.17", "1.el7", arch="x86_64")]
    berkeley = package_builder.berkeley(tmp_path / "Packages", blobs)
    old = put("var/lib/rpm/Packages", Node(content=berkeley))(rhel())
    suse = put("usr/lib/sysimage/rpm/Packages.db", Node(content=package_builder.ndb(blobs)))(rhel())
    assert derived(tgz(old), tmp_path) == "glibc.x86_64\t2.17-1.el7\n"
    assert derived(tgz(suse), tmp_path) == "glibc.x86_64\t2.17-1.el7\n"


def test_packages_of_apk_and_pacman(tmp_path):
    alpine = put("lib/apk/db/installed", "P:musl\nV:1.2.4-r2\n\n")(rhel())
    arch = put("var/lib/pacman/local/glibc-2.40-1/desc", "%NAME%\n")(rhel())
    assert derived(tgz(alpine), tmp_path) == "musl\t1.2.4-r2\n"
    assert derived(tgz(arch), tmp_path) == "glibc\t2.40-1\n"


def test_packages_of_two_managers_are_all_listed(tmp_path):
    blobs = package_builder.ndb([package_builder.header("alien")])
    tree = put("usr/lib/sysimage/rpm/Packages.db", Node(content=blobs))(debian())
    assert derived(tgz(tree), tmp_path) == f"alien.noarch\t1-1\n{DEBIAN}"


def test_files_where_there_are_no_packages(tmp_path):
    tree = {"etc/a": text("abc"), "etc/b\n\udcff": text(""), "usr": folder(), "usr/x": text("x")}
    data = tgz(tree)
    assert derived(data, tmp_path) == f"{FILES}etc/a\t3\netc/b\\n\\xff\t0\nusr/x\t1\n"


def test_a_list_that_is_damaged_is_left_out_as_a_whole(tmp_path):
    tree = put("var/lib/dpkg/status", "Package: a\nStatus: install ok installed\n")(debian())
    assert derived(tgz(tree), tmp_path).startswith(FILES)


def test_the_order_of_the_archive_does_not_matter(tmp_path):
    tree = without("dpkg")(debian())
    backwards = dict(reversed(tree.items()))
    assert derived(tgz(tree), tmp_path) == derived(tgz(backwards), tmp_path)


def test_a_long_list_of_files_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "MAX_FILES", 2)
    tree = {"etc/a": text(""), "usr/b": text(""), "usr/c": text(""), "usr/d": text("")}
    lines = derived(tgz(tree), tmp_path).splitlines()
    assert lines[1:] == ["# 2 more are left out.", "etc/a\t0", "usr/b\t0"]


def test_a_squashfs_has_facts(tmp_path):
    data = artefacts.squashfs("seed", 20_000)
    lines = derived(data, tmp_path, ftype="squashfs").splitlines()
    assert lines[0].startswith("# No list of packages")
    assert {"type\tsquashfs", "compression\tgzip"} <= set(lines)


def test_what_is_no_squashfs(tmp_path):
    version, item = version_of(b"x", "squashfs")
    for data in (tgz(rhel()), artefacts.squashfs("seed", 20_000)[:9000]):
        (tmp_path / "image").write_bytes(data)
        found = list(root_squashfs.check(product(), version, item, tmp_path / "image"))
        assert [each.severity.value for each in found] == ["error"]


def test_a_squashfs_that_mksquashfs_made(tmp_path):
    import subprocess

    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/a").write_text("a")
    made = tmp_path / "made"
    subprocess.run([tool("mksquashfs"), tmp_path / "root", made, "-quiet"], check=True)
    version, item = version_of(made.read_bytes(), "squashfs")
    found = list(root_squashfs.check(product("custom/x"), version, item, made))
    assert [each.code for each in found] == ["custom-images-layout", "custom-images-squashfs"]


def test_a_version_that_has_a_manifest_gets_no_other(tmp_path):
    from mirror.api import Item, Version

    version, item = version_of(b"x")
    other = Item("manifest", "manifest", "a/manifest", "0" * 64, 1)
    images = CustomImages()
    both = Version("20260101", (item, other))
    assert not list(images.derive(product(), both, {item.name: tmp_path}, tmp_path))
    assert not list(images.derive(product(), version, {}, tmp_path))


def test_an_image_of_which_nothing_is_known_has_its_name_and_digest():
    _, item = version_of(b"x", "root-dd.gz")
    made = derive.known_manifest(product("esxi/8.0"), item)
    assert f"sha256\t{item.sha256}" in made.text.splitlines()
    assert "os\tesxi" in made.text.splitlines()


# --- reading one ----------------------------------------------------------------------------------


def test_what_is_written_is_read(tmp_path):
    file = tmp_path / "manifest"
    packages = [Package("b", "2"), Package("a", "1:1~x"), Package("b", "1"), Package("b", "2")]
    file.write_text(package_manifest(packages))
    assert read_manifest(file) == (Package("a", "1:1~x"), Package("b", "1"), Package("b", "2"))
    file.write_text(file_manifest([("a", 1)]))
    assert read_manifest(file) == ()
    file.write_text(facts_manifest({"a": "b"}))
    assert read_manifest(file) == ()


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"<html>", b"a 1\n", b"a\n", b"a\t\n", b"\t1\n", b"a b\t1\n", b"\xff\t1"],
)
def test_what_is_no_manifest(tmp_path, content):
    file = tmp_path / "manifest"
    file.write_bytes(content)
    with pytest.raises(FormatError):
        read_manifest(file)


def test_a_manifest_that_is_too_long(tmp_path, monkeypatch):
    file = tmp_path / "manifest"
    file.write_text("a\t1\n" * 100)
    monkeypatch.setattr(manifest, "MAX_PACKAGES", 99)
    with pytest.raises(FormatError, match="more than 99"):
        read_manifest(file)
    monkeypatch.setattr(manifest, "MAX_SIZE", 10)
    with pytest.raises(FormatError, match="more than 10 bytes"):
        read_manifest(file)


def test_a_journal_that_is_not_empty_is_said():
    from mirror_custom_images.entries import Entry

    collector = ManifestCollector()
    collector.see(Entry(path="var/lib/rpm/rpmdb.sqlite-wal", kind="file", size=10))
    assert "var/lib/rpm/rpmdb.sqlite-wal" in collector.faults
