"""The images in `squashfs/` are of mksquashfs 4.5.1: 300 files, and an xattr where it takes one."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest
from format_damage import damaged, only_refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirror.formats import FormatError, read_squashfs
from mirror.testing import artefacts
from mirror.testing.squashfs import squashfs_image

IMAGES = {
    file.stem: file.read_bytes()
    for file in sorted((Path(__file__).parent / "squashfs").glob("*.squashfs"))
}
EXPANDED = ["gzip", "lz4", "xz", "zstd"]
COMPRESSION, BLOCK_LOG, IDS, MAJOR, ROOT, USED = 20, 22, 26, 28, 32, 40
ID_TABLE, XATTR_TABLE, INODE_TABLE, DIRECTORY_TABLE, FRAGMENT_TABLE, EXPORT_TABLE = range(48, 96, 8)


@pytest.fixture
def read(tmp_path):
    """Read an image from its bytes."""
    file = tmp_path / "squashfs"

    def read(data: bytes):
        file.write_bytes(data)
        return read_squashfs(file)

    return read


def changed(image: bytes, at: int, form: str, value: int) -> bytes:
    data = bytearray(image)
    struct.pack_into(form, data, at, value)
    return bytes(data)


def number(image: bytes, at: int) -> int:
    return struct.unpack_from("<Q", image, at)[0]


def test_there_is_an_image_of_every_compression():
    assert list(IMAGES) == ["gzip", "lz4", "lzma", "lzo", "xz", "zstd"]


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_says_what_it_is(name, read):
    image = read(IMAGES[name])
    assert (image.compression, image.inodes, image.block_size) == (name, 307, 4096)
    assert image.created == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert (image.fragments, image.ids) == (1, 1)
    assert image.size == len(IMAGES[name])
    assert image.size - 4096 < image.bytes_used <= image.size
    assert image.appended == 0


def test_an_image_of_the_kit(read):
    image = read(artefacts.squashfs("s", 300_000))
    assert (image.compression, image.inodes, image.block_size) == ("gzip", 7, 131_072)


def test_an_image_of_many_blocks(read):
    files = {f"usr/{number % 7}/file-{number:04}": b"x" for number in range(2000)}
    assert read(squashfs_image(files)).inodes == 2009


def test_an_empty_image(read):
    assert read(squashfs_image({})).inodes == 1


def test_padding_is_not_needed_and_more_of_it_is_told(read):
    image = IMAGES["zstd"]
    used = number(image, USED)
    assert read(image[:used]).appended == 0
    assert read(image + bytes(70_000)).appended == 70_000


@pytest.mark.parametrize("name", IMAGES)
def test_a_cut_anywhere_is_found(name, read):
    image = IMAGES[name]
    used = number(image, USED)
    for size in (4, 50, 95, 96, 100, used // 2, used - 1):
        with pytest.raises(FormatError, match=r"^is cut: "):
            read(image[:size])
    with pytest.raises(FormatError, match=f"^is cut: {used // 2} bytes of {used}$"):
        read(image[: used // 2])


@pytest.mark.parametrize("name", EXPANDED)
@pytest.mark.parametrize("table", ["fragment", "export", "id", "directory", "inode", "xattr"])
def test_tables_of_zeros_are_found(name, table, read):
    """A file whose end was never written is as long as it should be."""
    image = bytearray(IMAGES[name])
    if table in {"inode", "directory"}:
        start = number(image, INODE_TABLE if table == "inode" else DIRECTORY_TABLE)
    else:
        at = {"fragment": FRAGMENT_TABLE, "export": EXPORT_TABLE, "id": ID_TABLE}
        start = number(image, at.get(table, XATTR_TABLE))
        if table != "xattr":
            start = number(image, start)
    image[start : start + 16] = bytes(len(image[start : start + 16]))
    with pytest.raises(FormatError, match=r"^is damaged: its "):
        read(bytes(image))


@pytest.mark.parametrize("name", EXPANDED)
@pytest.mark.parametrize("at", [INODE_TABLE, DIRECTORY_TABLE])
def test_a_table_that_can_not_be_expanded(name, at, read):
    image = bytearray(IMAGES[name])
    start = number(image, at)
    image[start + 2 : start + 40] = b"\xa5" * 38
    with pytest.raises(FormatError, match=r"^is damaged: its (inode|directory) table "):
        read(bytes(image))


def test_a_compression_that_came_later(read):
    image = read(changed(IMAGES["zstd"], COMPRESSION, "<H", 7))
    assert (image.compression, image.inodes) == ("kind 7", 307)


@pytest.mark.parametrize(
    ("at", "form", "value", "says"),
    [
        (MAJOR, "<H", 3, "is squashfs 3.0"),
        (MAJOR + 2, "<H", 1, "is squashfs 4.1"),
        (COMPRESSION, "<H", 0, "is damaged: it is compressed in no way at all"),
        (COMPRESSION, "<H", 1, "is damaged: its inode table can't be expanded"),
        (BLOCK_LOG, "<H", 17, "is damaged: blocks of 4096 bytes, and of 2.17"),
        (12, "<I", 131_072, "is damaged: blocks of 131072 bytes, and of 2.12"),
        (12, "<I", 0, "is damaged: blocks of 0 bytes"),
        (IDS, "<H", 0, "is damaged: it has no inodes"),
        (4, "<I", 0, "is damaged: it has no inodes"),
        (4, "<I", 5000, "is damaged: its export table"),
        (16, "<I", 5000, "is damaged: its fragment table"),
        (USED, "<Q", 1 << 40, "is cut: 4096 bytes of 1099511627776"),
        (USED, "<Q", 500, "is damaged: its .* table is at"),
        (ROOT, "<Q", 1 << 30, "is damaged"),
        (ROOT, "<Q", 9000, "is damaged: its root is no directory"),
        (ROOT, "<Q", 0, "is damaged: its root is no directory"),
        (ID_TABLE, "<Q", 0xFFFFFFFFFFFFFFFF, "is damaged: its id table is at"),
        (ID_TABLE, "<Q", 200, "is damaged: its id table is at 200"),
        (INODE_TABLE, "<Q", 95, "is damaged: its inode table is at 95"),
        (DIRECTORY_TABLE, "<Q", 96, "is damaged: its directory table is at 96"),
        (FRAGMENT_TABLE, "<Q", 0xFFFFFFFFFFFFFFFF, "is damaged: it has fragments and no table"),
        (EXPORT_TABLE, "<Q", 1 << 50, "is damaged: its export table is at"),
        (XATTR_TABLE, "<Q", 100, "is damaged: its xattr table is at 100"),
    ],
)
def test_superblocks_that_can_not_be(at, form, value, says, read):
    with pytest.raises(FormatError, match=f"^{says}"):
        read(changed(IMAGES["zstd"], at, form, value))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (bytes(100_000), "begins with zeros and nothing else"),
        (b"<html>", "is a web page"),
        (artefacts.kernel("k", 5000), "is no squashfs image"),
        (artefacts.root_tgz("k", 20_000), "is no squashfs image"),
        (b"sqsh" + bytes(500), "is no squashfs image"),
    ],
)
def test_other_files_are_no_squashfs(data, says, read):
    with pytest.raises(FormatError, match=f"^{says}$"):
        read(data)


@settings(
    max_examples=100,
    deadline=2000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
@pytest.mark.parametrize("name", IMAGES)
def test_damage_never_raises_anything_else(name, data, read):
    assert only_refused(read, data.draw(damaged(IMAGES[name])))
