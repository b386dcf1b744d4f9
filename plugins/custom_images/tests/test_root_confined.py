"""Root tarballs in the process that plugins are confined to: no network, one place to write."""

from __future__ import annotations

import package_builder
import pytest
from root_builder import Node, debian, product, put, rhel, tgz, version_of

from mirror.isolation.workshop import Workshop
from mirror.plugin_manager import load_plugins
from mirror.settings import PluginSettings

_BLOBS = [package_builder.header("glibc", "2.34", "1.el9", arch="x86_64")]


def _sqlite(where) -> tuple[str, bytes]:
    return "var/lib/rpm/rpmdb.sqlite", package_builder.sqlite(where / "db", _BLOBS)


def _berkeley(where) -> tuple[str, bytes]:
    return "var/lib/rpm/Packages", package_builder.berkeley(where / "Packages", _BLOBS)


def _ndb(where) -> tuple[str, bytes]:
    del where
    return "usr/lib/sysimage/rpm/Packages.db", package_builder.ndb(_BLOBS)


@pytest.mark.parametrize("make", [_sqlite, _berkeley, _ndb])
async def test_a_database_is_copied_and_read_there(tmp_path, make):
    path, database = make(tmp_path)
    tree = put("etc/fstab", "/dev/sda1 / xfs rw 0 0\n")(rhel())
    data = tgz(tree | {path: Node(content=database)})
    codes, manifest = await inspected(data, tmp_path)
    assert codes == ["custom-images-fstab"]
    assert manifest == "glibc.x86_64\t2.34-1.el9\n"


async def test_a_script_is_compiled_there(tmp_path):
    script = Node(content=b"#!/usr/bin/python3\nprint 1\n", mode=0o755)
    codes, manifest = await inspected(tgz(put("curtin/curtin-hooks", script)(rhel())), tmp_path)
    assert codes == ["custom-images-curtin-hooks"]
    assert manifest == ""  # an error: nothing is derived


async def test_packages_of_dpkg(tmp_path):
    codes, manifest = await inspected(tgz(debian()), tmp_path)
    assert "custom-images-other-system" in codes
    assert manifest == ""


async def inspected(data: bytes, where) -> tuple[list[str], str]:
    """Return the codes that are found, and the manifest."""
    blobs, scratch = where / "blobs", where / "scratch"
    blobs.mkdir()
    scratch.mkdir()
    (blobs / "image").write_bytes(data)
    version, item = version_of(data)
    plugins = load_plugins(allow=["custom_images"], strict=True)
    settings = PluginSettings(processes=1)
    async with Workshop(settings, plugins, scratch=scratch, readable=(blobs,)) as workshop:
        files = {item.name: blobs / "image"}
        done = await workshop.inspect("custom-images", product("rhel/9"), version, files)
        text = done.derived[0].file.read_text() if done.derived else ""
    return [each.code for each in done.findings], text
