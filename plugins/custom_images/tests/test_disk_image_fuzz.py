"""Whole disks that are damaged anywhere: findings, or a reason; nothing else, and soon."""

from __future__ import annotations

import pytest
import root_builder
from disk_builder import ESP, LVM, MIB, Slice, ext4, fat, gpt, plant
from file_disk import FileDisk
from hypothesis import given
from hypothesis import strategies as st
from lvm_builder import Logical, physical
from mirror_custom_images.checks.disk_image import look
from reader_fuzz import EXAMPLES, flip

from mirror.api import Item
from mirror.formats import FormatError
from mirror.testing import artefacts

ITEM = Item("root-dd.gz", "root-dd.gz", "custom/x/root-dd.gz", "0" * 64, 1)
NAMES = ("custom/ours", "windows/win2022", "esxi/8.0", "ubuntu-core/20")


@pytest.fixture(scope="module")
def disk(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("fuzz")
    loader = artefacts.efi_binary("loader", 2048, signed=True)
    esp = fat(folder / "esp", plant(folder / "e", {"EFI/BOOT/BOOTX64.EFI": loader}), 2 * MIB)
    root = plant(folder / "r", {"curtin/curtin-hooks": "#!/bin/sh\n"}, ("curtin/curtin-hooks",))
    for path, node in root_builder.debian().items():
        if node.kind == "file":
            plant(root, {path: node.content})
    image = ext4(folder / "root", root, 8 * MIB)
    volume = Logical(
        "root", ext4(folder / "lv", plant(folder / "l", {"x": "y"}), 4 * MIB), [(0, 1)]
    )
    pv = physical(folder / "pv", [volume], 6 * MIB)
    return gpt(folder / "disk", [Slice(esp, ESP), Slice(image), Slice(pv, LVM)]).read_bytes()


def test_it_is_a_good_one(disk):
    with FileDisk(disk) as opened:
        found = list(look(root_builder.product("custom/ours"), ITEM, opened))
    assert not [each for each in found if "unread" in each.code]
    assert any("volume vg0/root (ext4" in each.message for each in found)


@EXAMPLES
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_damage_anywhere(disk, data, name):
    places = [
        range(34 * 512),
        range(MIB, MIB + 64 * 1024),
        range(3 * MIB, 3 * MIB + 512 * 1024),
        range(11 * MIB, 11 * MIB + 8 * 1024),
        range(len(disk) - 34 * 512, len(disk)),
    ]
    with FileDisk(flip(data, disk, places)) as opened:
        try:
            found = list(look(root_builder.product(name), ITEM, opened))
        except FormatError:
            return
    assert all(each.where.startswith("root-dd.gz") for each in found)
    assert all(each.message for each in found)
