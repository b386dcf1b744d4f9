"""Builds in the plugin's own process: with limits, no network, and nothing but scratch."""

from __future__ import annotations

import gzip

import pytest
from build_helpers import HOOKS
from disk_builder import LINUX, Slice, ext4, gpt, plant, run
from disk_samples import compress, convert, raw_disk

from mirror.api import BuildOrder
from mirror.errors import ImageNotBuildable
from mirror.images.declaration import Declaration, product_of
from mirror.isolation.workshop import Workshop
from mirror.plugin_manager import load_plugins
from mirror.settings import PluginSettings


@pytest.fixture
async def build(tmp_path):
    """Return a function that builds in a workshop, of files below `given`."""
    given, scratch = tmp_path / "given", tmp_path / "scratch"
    given.mkdir()
    scratch.mkdir()
    settings = PluginSettings(processes=1)
    plugins = load_plugins(allow=["custom_images"], strict=True)
    places = {"scratch": scratch, "readable": (given,), "private": (tmp_path,)}
    async with Workshop(settings, plugins, **places) as workshop:

        async def _build(file, name="custom/thing", *, report=None, **order):
            os, _, release = name.partition("/")
            product = product_of(Declaration(os=os, release=release))
            asked = BuildOrder(**order)
            built, _ = await workshop.build("custom-images", product, file, asked, report)
            return built

        yield _build


async def test_a_disk(build, tmp_path):
    disk = raw_disk(tmp_path / "disk.raw")
    file = convert(disk, tmp_path / "given/disk", "qcow2-zlib")
    said = []
    built = await build(file, ftype="root-dd.gz", report=lambda *at: said.append(at))
    assert gzip.decompress(built.file.read_bytes()) == disk.read_bytes()
    assert said


async def test_a_disk_that_is_expanded_first(build, tmp_path):
    disk = raw_disk(tmp_path / "disk.raw")
    file = compress(disk, tmp_path / "given/disk.xz", "xz")
    built = await build(file, ftype="root-dd")
    assert built.ftype == "root-dd"


async def test_a_root_and_hooks(build, tmp_path):
    tree = plant(tmp_path / "tree", {"etc/os-release": "ID=rhel\n", "usr/bin/bash": "x"})
    image = ext4(tmp_path / "root.img", tree)
    file = gpt(tmp_path / "given/disk.raw", [Slice(image, LINUX)])
    hooks = plant(tmp_path / "given/hooks", HOOKS, executable=["curtin-hooks"])
    root = (await build(file, "rhel/9")).file.rename(tmp_path / "given/root.tgz")
    built = await build(root, "rhel/9", hooks=hooks)
    listed = run("tar", "-tzf", built.file).splitlines()
    assert "./curtin/curtin-hooks" in listed
    assert {"./etc/os-release", "etc/os-release"} & set(listed)


async def test_what_is_refused(build, tmp_path):
    file = tmp_path / "given/disk.raw"
    raw_disk(file)
    with pytest.raises(ImageNotBuildable, match="no root file system"):
        await build(file, "rhel/9")
    file.write_bytes(b"\0" * 4096)
    with pytest.raises(ImageNotBuildable):
        await build(file)
