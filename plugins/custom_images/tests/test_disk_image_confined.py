"""Disk images in the process that plugins are confined to: no network, one place to write."""

from __future__ import annotations

import gzip
import hashlib

import pytest
import root_builder
from disk_builder import ESP, MICROSOFT_DATA, Slice, ext4, fat, gpt, ntfs, plant, xfs

from mirror.api import Item, Version
from mirror.isolation.workshop import Workshop
from mirror.plugin_manager import load_plugins
from mirror.settings import PluginSettings
from mirror.testing import artefacts

HOOKS = "curtin/curtin-hooks"


@pytest.mark.parametrize("make", [ext4, xfs, ntfs])
async def test_a_disk_is_expanded_and_read_there(tmp_path, make):
    blobs, scratch = tmp_path / "blobs", tmp_path / "scratch"
    blobs.mkdir()
    scratch.mkdir()
    loader = artefacts.efi_binary("loader", 4096, signed=True)
    esp = fat(tmp_path / "esp", plant(tmp_path / "e", {"EFI/BOOT/BOOTX64.EFI": loader}))
    root = make(tmp_path / "root", plant(tmp_path / "r", {HOOKS: "#!/bin/ruby\n"}, (HOOKS,)))
    disk = gpt(tmp_path / "disk", [Slice(esp, ESP), Slice(root, MICROSOFT_DATA)])
    content = gzip.compress(disk.read_bytes(), 1)
    (blobs / "image").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    item = Item("root-dd.gz", "root-dd.gz", "custom/x/root-dd.gz", digest, len(content))
    product, version = root_builder.product("custom/ours"), Version("20260101", (item,))
    plugins = load_plugins(allow=["custom_images"], strict=True)
    settings = PluginSettings(processes=1)
    async with Workshop(settings, plugins, scratch=scratch, readable=(blobs,)) as workshop:
        files = {item.name: blobs / "image"}
        inspected = await workshop.inspect("custom-images", product, version, files)
    found = {each.code: each for each in inspected.findings}
    assert set(found) == {
        "custom-images-curtin-hooks",
        "custom-images-disk-size",
        "custom-images-no-bios-boot",
    }
    assert found["custom-images-curtin-hooks"].where == f"root-dd.gz: partition 2: {HOOKS}"
    assert [each.name for each in inspected.derived] == ["manifest"]
    assert list((blobs).iterdir()) == [blobs / "image"]
