"""A writer of FAT that is stopped anywhere, damage that it meets, and the short names it makes."""

from __future__ import annotations

import struct

import pytest
from fat_images import AT, HOOKS, SIZES, Image, Unhurried, below, copied, one_of_each_size
from file_disk import FileDisk
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.filesystems.fat import Fat
from mirror_custom_images.filesystems.fat_names import checksum
from mirror_custom_images.filesystems.fat_new_names import long_slots, short_name
from mirror_custom_images.filesystems.fat_volume import Region

from mirror.formats import FormatError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return one_of_each_size(tmp_path_factory.mktemp("made"))


@pytest.fixture
def image16(made, tmp_path):
    return copied(made[16], tmp_path / "disk")


# --- a machine that stops -------------------------------------------------------------------------


class PowerCut(Exception):
    pass


def stopped_after(writes: int, image: Image, at: str, files, monkeypatch) -> bool:
    """Replace what is at a path, and stop after so many writes; say whether it came to that."""
    real = Region.write
    left = [writes]

    def write(region, offset, data):
        if not left[0]:
            raise PowerCut
        left[0] -= 1
        real(region, offset, data)

    with monkeypatch.context() as patch:
        patch.setattr(Region, "write", write)
        try:
            image.put(at, files, replace=True)
        except PowerCut:
            return True
    return False


@pytest.mark.parametrize("bits", SIZES)
@pytest.mark.parametrize("case", ["new", "replaced", "in a directory that is full"])
def test_a_machine_that_stops_anywhere_leaves_the_old_or_the_new(
    made, tmp_path, monkeypatch, bits, case
):
    before = copied(made[bits], tmp_path / "before")
    at = "curtin"
    if case == "replaced":
        before.put(at, {"old": "old" * 5000})
    elif case != "new":
        at = "full/a name that takes some slots"
        with FileDisk(before.file) as disk:
            slots = Fat(Part(disk, AT, before.size)).geometry.cluster // 32
        before.put("full", {f"F{number}": "" for number in range(slots - 2)})
    old = before.files()
    new = {path: data for path, data in old.items() if not path.startswith(f"{at}/")}
    new |= below(at, HOOKS)
    seen = []
    for writes in range(1000):
        image = copied(before, tmp_path / "disk")
        image.kind = Unhurried
        stopped = stopped_after(writes, image, at, HOOKS, monkeypatch)
        with FileDisk(image.file) as disk:
            found = Fat(Part(disk, AT, image.size))
            files = {each.path: each.open().read() for each in found.walk() if each.kind == "file"}
        assert files in (old, new)
        seen.append(files == new)
        if not stopped:
            break
    assert seen == sorted(seen)
    assert seen[0] is False
    assert seen[-1] is True


# --- damage ---------------------------------------------------------------------------------------


def table_at(image: Image) -> int:
    with FileDisk(image.file) as disk:
        return AT + Fat(Part(disk, AT, image.size)).geometry.fat_at


def test_a_damaged_one_is_not_written_to(image16):
    at = table_at(image16)
    raw = bytearray(image16.bytes())
    with FileDisk(image16.file) as disk:
        found = Fat(Part(disk, AT, image16.size))
        readme, efi = (found.look_up(name)[0] for name in ("README.TXT", "EFI/BOOT/BOOTX64.EFI"))
        size = found.geometry.fat_size
    for copy in (0, size):
        struct.pack_into("<H", raw, at + copy + 2 * readme.cluster, efi.cluster)
    image16.file.write_bytes(raw)
    with pytest.raises(FormatError, match=r"shares cluster"):
        image16.put("curtin", HOOKS)
    assert image16.bytes() == bytes(raw)


def test_tables_that_differ_are_told(image16):
    raw = bytearray(image16.bytes())
    raw[table_at(image16) + 5000] ^= 1
    image16.file.write_bytes(raw)
    with pytest.raises(FormatError, match=r"its two tables differ"):
        image16.put("curtin", HOOKS)


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("BOOTX64.EFI", b"BOOTX64 EFI"),
        ("bootx64.efi", b"BOOTX64 EFI"),
        ("curtin", b"CURTIN     "),
        ("curtin-hooks", b"CURTIN~1   "),
        ("scripts.tar.xz", b"SCRIPT~1XZ "),
        (".profile", b"PROFIL~1   "),
        ("a b.c", b"AB~1    C  "),
        ("a+b.c", b"A_B~1   C  "),
        ("file.html", b"FILE~1  HTM"),
        ("ü", b"_~1        "),
        ("...x", b"X~1        "),
    ],
)
def test_short_names_are_as_the_format_has_them(name, short):
    assert short_name(name, set()) == short


def test_a_name_that_is_short_already_has_one_slot():
    assert long_slots("BOOTX64.EFI", b"BOOTX64 EFI") == b""
    slots = long_slots("curtin-hooks", b"CURTIN~1   ")
    assert len(slots) == 32
    assert slots[13] == checksum(b"CURTIN~1   ")
    assert len(long_slots("a" * 26, b"AAAAAA~1   ")) == 64
