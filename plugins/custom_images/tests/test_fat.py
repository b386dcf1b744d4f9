"""FAT file systems that dosfstools and mtools make are read as they are, and damage is told."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from disk_builder import MIB, fat, plant, run
from file_disk import FileDisk
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.filesystems import fat as fat_module
from mirror_custom_images.filesystems.detect import kind_of, open_filesystem
from mirror_custom_images.filesystems.fat import Fat
from mirror_custom_images.filesystems.fat_check import check_fat
from mirror_custom_images.filesystems.fat_new_names import long_slots, short_slot

from mirror.formats import FormatError

if TYPE_CHECKING:
    from pathlib import Path

UTF8 = {"LC_ALL": "C.UTF-8"}
FOREIGN = "Größe/naïve ünïcode 你好.txt"

SIZES = {12: 2 * MIB, 16: 34 * MIB, 32: 40 * MIB}

TREE = {
    "EFI/BOOT/BOOTX64.EFI": bytes(range(256)) * 1000,
    "curtin/curtin-hooks": "#!/usr/bin/env python3\n",
    "curtin/a name that is rather long, with commas.and.dots": "x" * 5000,
    "lower.txt": "lower",
    "UPPER.TXT": "upper",
    "Mixed.Txt": "mixed",
    "no-extension": "",
    "deep/1/2/3/4/5/6/7/8/9/end": "here",
    "many/" + "n" * 240: "the longest",
    **{f"many/file number {number}": f"{number}" for number in range(300)},
}


def bits_of(image: Path) -> int:
    with FileDisk(image) as disk:
        return Fat(disk).geometry.bits


@pytest.fixture(params=[12, 16, 32], scope="module")
def image(request, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("image")
    tree = plant(tmp_path / "tree", TREE)
    bits = request.param
    image = fat(tmp_path / "fat.img", tree, SIZES[bits], bits=bits, label="SOME ESP")
    foreign = plant(tmp_path / "foreign", {FOREIGN: "hello"})
    run("mcopy", "-i", image, "-s", foreign / "Größe", "::/", env=UTF8)
    return image


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("small")
    tree = plant(tmp_path / "tree", {"curtin/curtin-hooks": "hooks" * 2000, "other": "o" * 9000})
    return fat(tmp_path / "small.img", tree, 20 * MIB, bits=16).read_bytes()


@pytest.fixture
def small(made):
    """A FAT16 with little in it, as bytes that a test damages."""
    return bytearray(made)


def test_it_is_read_equal_to_what_was_written(image):
    with FileDisk(image) as disk:
        found = Fat(disk)
        files = {each.path: each.open().read() for each in found.walk() if each.kind == "file"}
        dirs = {each.path for each in found.walk() if each.kind == "dir"}
    expected = {
        name: content if isinstance(content, bytes) else content.encode()
        for name, content in (TREE | {FOREIGN: "hello"}).items()
    }
    assert files == expected
    assert dirs == {".", "EFI", "EFI/BOOT", "curtin", "Größe", "many", "deep"} | {
        "deep/" + "/".join(map(str, range(1, last))) for last in range(2, 11)
    }


def test_its_kind_and_its_label_are_known(image):
    with FileDisk(image) as disk:
        assert kind_of(disk) == "vfat"
        found = open_filesystem(disk)
        assert found is not None
        assert (found.kind, found.label) == ("vfat", "SOME ESP")


@pytest.mark.parametrize("bits", SIZES)
def test_each_kind_of_table_is_told(tmp_path, bits):
    image = fat(tmp_path / "fat.img", plant(tmp_path / "tree", {"a": "b"}), SIZES[bits], bits=bits)
    assert bits_of(image) == bits


def test_one_without_a_label_has_none(tmp_path):
    image = fat(tmp_path / "fat.img", plant(tmp_path / "tree", {"a": "b"}))
    with FileDisk(image) as disk:
        assert Fat(disk).label == ""


@pytest.mark.parametrize(
    "path",
    [
        "EFI/BOOT/BOOTX64.EFI",
        "efi/boot/bootx64.efi",
        "/EFI//BOOT/./BOOTX64.EFI",
        "EFI/Boot/BootX64.efi",
    ],
)
def test_a_path_is_found_in_any_case(image, path):
    with FileDisk(image) as disk:
        entry = Fat(disk).find(path)
        assert entry is not None
        assert entry.path == "EFI/BOOT/BOOTX64.EFI"
        assert (entry.kind, entry.size, entry.mode) == ("file", 256_000, 0o755)
        assert entry.mtime > 1_600_000_000 * 10**9


def test_a_path_is_found_by_its_short_name(image):
    with FileDisk(image) as disk:
        entry = Fat(disk).find("CURTIN/CURTIN~1")
        assert entry is not None
        assert entry.path == "curtin/curtin-hooks"


@pytest.mark.parametrize("path", ["EFI/none", "none/EFI", "lower.txt/below", "..", "EFI/..", "EF"])
def test_what_is_not_there_is_not_found(image, path):
    with FileDisk(image) as disk:
        assert Fat(disk).find(path) is None
        assert list(Fat(disk).list(path)) == []


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_the_root_is_found_and_listed(image, path):
    with FileDisk(image) as disk:
        root = Fat(disk).find(path)
        assert root is not None
        assert (root.path, root.kind) == (".", "dir")
        names = [each.path for each in Fat(disk).list(path)]
    assert names == sorted({name.split("/")[0] for name in (*TREE, FOREIGN)})


def test_a_directory_is_listed_in_the_order_of_the_names(image):
    with FileDisk(image) as disk:
        names = [each.path for each in Fat(disk).list("MANY")]
    assert names == sorted(name for name in TREE if name.startswith("many/"))


def test_a_file_has_no_list(image):
    with FileDisk(image) as disk:
        assert list(Fat(disk).list("lower.txt")) == []


def test_a_directory_comes_before_what_is_in_it(image):
    seen = set()
    with FileDisk(image) as disk:
        for entry in Fat(disk).walk():
            assert (
                entry.path == "." or "/" not in entry.path or entry.path.rpartition("/")[0] in seen
            )
            seen.add(entry.path)


def test_content_can_be_read_from_anywhere(image):
    content = TREE["EFI/BOOT/BOOTX64.EFI"]
    with FileDisk(image) as disk:
        stream = Fat(disk).find("EFI/BOOT/BOOTX64.EFI").open()
        for at in (255_999, 0, 130_000, 4096, 4095, 256_000):
            stream.seek(at)
            assert stream.read(5000) == content[at : at + 5000]


def test_a_fragmented_file_is_read(tmp_path):
    image = fat(
        tmp_path / "fat.img",
        plant(tmp_path / "tree", {f"f{n}": "x" * 4000 for n in range(400)}),
        2 * MIB,
    )
    run("mdel", "-i", image, *(f"::/f{n}" for n in range(0, 400, 2)))
    big = tmp_path / "big"
    big.write_bytes(bytes(range(1, 251)) * 2600)
    run("mcopy", "-i", image, big, "::/big")
    with FileDisk(image) as disk:
        found = Fat(disk)
        clusters = list(found.table.chain(found.look_up("big")[0].cluster))
        assert clusters != list(range(clusters[0], clusters[0] + len(clusters)))
        assert found.find("big").open().read() == big.read_bytes()


def test_clusters_and_sectors_of_any_size_are_read(tmp_path):
    tree = plant(tmp_path / "tree", {"dir/file": bytes(range(250)) * 999})
    for sector, cluster in ((512, 1), (512, 128), (2048, 4), (4096, 1)):
        image = tmp_path / f"{sector}-{cluster}.img"
        with image.open("wb") as file:
            file.truncate(20 * MIB)
        run("mkfs.vfat", "-S", sector, "-s", cluster, image)
        run("mcopy", "-i", image, "-s", tree / "dir", "::/")
        with FileDisk(image) as disk:
            assert Fat(disk).find("dir/file").open().read() == bytes(range(250)) * 999


def test_one_in_a_partition_is_read(image, tmp_path):
    whole = tmp_path / "disk"
    whole.write_bytes(bytes(MIB) + image.read_bytes() + bytes(MIB))
    with FileDisk(whole) as disk:
        found = Fat(Part(disk, MIB, image.stat().st_size))
        assert found.find("curtin/curtin-hooks").open().read() == b"#!/usr/bin/env python3\n"


# --- damage ---------------------------------------------------------------------------------------


def opened(image: bytearray) -> Fat:
    return Fat(FileDisk(bytes(image)))


def read_all(image: bytearray) -> None:
    for entry in opened(image).walk():
        if entry.kind == "file":
            entry.open().read()


def poke(image: bytearray, cluster: int, value: int) -> None:
    """Say in the FAT16 what comes after a cluster."""
    at = opened(image).geometry.fat_at + 2 * cluster
    struct.pack_into("<H", image, at, value)


def slot_at(image: bytearray, path: str) -> int:
    """Return where the slot of something in a directory of one cluster is."""
    found = opened(image)
    folder = found.look_up(path.rpartition("/")[0])[0]
    start = found.geometry.at(folder.cluster) if folder else found.geometry.root_at
    return start + 32 * found.look_up(path)[0].index


def cluster_of(image: bytearray, path: str) -> int:
    return opened(image).look_up(path)[0].cluster


def test_a_loop_in_the_chain_of_a_file_is_told(small):
    first = cluster_of(small, "other")
    poke(small, first + 1, first)
    with pytest.raises(FormatError, match=r"has a loop"):
        read_all(small)


def test_a_loop_in_the_chain_of_a_directory_is_told(small):
    first = cluster_of(small, "curtin")
    poke(small, first, first)
    start = opened(small).geometry.at(first)
    for at in range(start + 128, start + 2048, 32):
        small[at] = 0xE5
    with pytest.raises(FormatError, match=r"has a loop"):
        opened(small).find("curtin/none")
    with pytest.raises(FormatError, match=r"has a loop"):
        list(opened(small).walk())


def test_a_directory_within_itself_is_told(small):
    at = slot_at(small, "curtin/curtin-hooks")
    small[at + 11] = 0x10
    struct.pack_into("<H", small, at + 26, cluster_of(small, "curtin"))
    assert opened(small).find("curtin/curtin-hooks/curtin-hooks/curtin-hooks").kind == "dir"
    with pytest.raises(FormatError, match=r"curtin/curtin-hooks is in two places"):
        list(opened(small).walk())


def test_a_directory_that_shares_a_cluster_with_another_is_told(small):
    small[slot_at(small, "other") + 11] = 0x10
    struct.pack_into("<H", small, slot_at(small, "other") + 26, cluster_of(small, "curtin"))
    with pytest.raises(FormatError, match=r"is in two places"):
        list(opened(small).walk())


def test_a_root_of_fat32_below_itself_is_told(tmp_path):
    image = bytearray(
        fat(tmp_path / "f", plant(tmp_path / "t", {"a/b": "c"}), 40 * MIB, bits=32).read_bytes()
    )
    found = opened(image)
    at = found.geometry.at(found.geometry.root_cluster) + 32 * found.look_up("a")[0].index
    struct.pack_into("<H", image, at + 26, found.geometry.root_cluster)
    with pytest.raises(FormatError, match=r"a is in two places"):
        list(opened(image).walk())


def test_a_chain_that_ends_too_early_is_told(small):
    poke(small, cluster_of(small, "other"), 0xFFFF)
    with pytest.raises(FormatError, match=r"other is cut, 2,048 bytes of 9,000"):
        read_all(small)


@pytest.mark.parametrize(
    ("value", "kind"), [(0, "free"), (0xFFF7, "bad"), (1, "none"), (0xFFEF, "none")]
)
def test_a_chain_that_leads_to_no_cluster_is_told(small, value, kind):
    poke(small, cluster_of(small, "other"), value)
    with pytest.raises(FormatError, match=rf"which is {kind}"):
        read_all(small)


def test_a_size_that_lies_is_told(small):
    struct.pack_into("<I", small, slot_at(small, "other") + 28, 0xFFFFFFFF)
    with pytest.raises(FormatError, match=r"other says that it has 4,294,967,295 bytes"):
        read_all(small)


def test_a_file_without_clusters_is_told(small):
    struct.pack_into("<H", small, slot_at(small, "other") + 26, 0)
    with pytest.raises(FormatError, match=r"and no clusters"):
        read_all(small)


def test_a_directory_without_clusters_is_told(small):
    struct.pack_into("<H", small, slot_at(small, "curtin") + 26, 0)
    with pytest.raises(FormatError, match=r"begins in cluster 0, which is none"):
        read_all(small)


@pytest.mark.parametrize("name", [b"A/B        ", b"           ", b"A\0B        "])
def test_a_name_that_cant_be_is_told(small, name):
    at = slot_at(small, "other")
    small[at : at + 11] = name
    with pytest.raises(FormatError, match=r"a name that can't be"):
        read_all(small)


def test_a_long_name_that_is_no_utf16_is_the_short_one(small):
    at = slot_at(small, "curtin/curtin-hooks") - 32
    small[at + 1 : at + 3] = b"\x00\xd8"
    names = [each.path for each in opened(small).list("curtin")]
    assert names == ["curtin/CURTIN~1"]


def test_a_long_name_with_the_sum_of_another_is_the_short_one(small):
    small[slot_at(small, "curtin/curtin-hooks") - 32 + 13] ^= 1
    assert [each.path for each in opened(small).list("curtin")] == ["curtin/CURTIN~1"]


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (11, b"\x01\x02", r"is no FAT file system: sectors of 513 bytes"),
        (13, b"\x03", r"is no FAT file system: .* 3 to a cluster"),
        (13, b"\x00", r"is no FAT file system"),
        (14, b"\x00\x00", r"is no FAT file system: 0 reserved"),
        (16, b"\x00", r"is no FAT file system: .* 0 FATs"),
        (16, b"\xff", r"is no FAT file system: .* 255 FATs"),
        (21, b"\x01", r"is no FAT file system: .* medium 0x01"),
        (17, b"\x00\x00", r"no root directory"),
        (22, b"\xff\xff", r"its data would begin"),
        (22, b"\x00\x00", r"is a damaged FAT"),
        (19, b"\xff\xff", r"is cut: its FAT file system has"),
    ],
)
def test_absurd_values_in_the_boot_sector_are_told(small, at, value, message):
    small[at : at + len(value)] = value
    with pytest.raises(FormatError, match=message):
        read_all(small)


def test_one_that_is_cut_is_told(small):
    with pytest.raises(FormatError, match=r"is cut: its FAT file system has 20,971,520 bytes"):
        opened(small[: 10 * MIB])
    with pytest.raises(FormatError, match=r"it has 100 bytes"):
        opened(small[:100])


def test_a_tree_of_more_files_than_any_has_is_refused(small, monkeypatch):
    monkeypatch.setattr(fat_module, "MAX_ENTRIES", 2)
    with pytest.raises(FormatError, match=r"has more than 2 files"):
        read_all(small)


def test_directories_in_each_other_without_end_are_refused_soon(tmp_path):
    """Each is real: 4,000 of them, with names of 200 letters, in a chain."""
    tree = plant(tmp_path / "tree", {"a": ""})
    image = bytearray(fat(tmp_path / "f", tree, 20 * MIB, bits=16).read_bytes())
    found = opened(image)
    long = "n" * 200
    slots = long_slots(long, b"NNNNNN~1   ")
    for cluster in range(2, 4002):
        poke_at = found.geometry.fat_at + 2 * cluster
        struct.pack_into("<H", image, poke_at, 0xFFFF)
        raw = slots + short_slot(b"NNNNNN~1   ", 0x10, cluster + 1, 0, 0)
        image[found.geometry.at(cluster) : found.geometry.at(cluster) + len(raw)] = raw
    raw = slots + short_slot(b"NNNNNN~1   ", 0x10, 2, 0, 0)
    image[found.geometry.root_at : found.geometry.root_at + len(raw)] = raw
    for ask in (lambda fat: list(fat.walk()), check_fat):
        with pytest.raises(FormatError, match=r"directories in each other, 20 deep"):
            ask(opened(image))
