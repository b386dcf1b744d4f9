"""XFS as mkfs.xfs writes it, read without mounting.

What only a kernel makes (trees of extents, long lists of attributes) is made here byte by byte.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest
from disk_builder import plant, run, xfs
from file_disk import FileDisk
from hypothesis import given
from hypothesis import strategies as st
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.filesystems.content import Content
from mirror_custom_images.filesystems.xfs import Xfs
from reader_fuzz import EXAMPLES, flip, read_all

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MIB = 1024**2
SIZE = 300 * MIB

KINDS: dict[str, Sequence[str]] = {
    "as it is made": (),
    "of the year 2038": ("-m", "bigtime=0,reflink=0,inobtcount=0"),
    "large counts": ("-i", "nrext64=1,size=1024", "-m", "rmapbt=1"),
    "version 4": ("-m", "crc=0"),
    "small blocks": ("-b", "size=1024", "-n", "size=8192"),
    "large directories": ("-n", "size=65536"),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files: dict[str, bytes | str] = {
        "etc/os-release": "ID=rhel\n",
        "empty": "",
        "large": os.urandom(2 * MIB + 17),
    }
    files |= {f"some/file-{number}": str(number) for number in range(30)}
    files |= {f"many/a-file-among-many-{number:05}": str(number) for number in range(1200)}
    folder = plant(tmp_path_factory.mktemp("xfs") / "tree", files, executable=["etc/os-release"])
    (folder / "link").symlink_to("etc/os-release")
    (folder / "long-link").symlink_to("x/" * 80 + "x")  # mkfs.xfs makes longer ones wrong
    (folder / "etc/os-release").chmod(0o6755)
    return folder


@pytest.fixture(scope="module", params=list(KINDS.values()), ids=list(KINDS))
def image(
    request: pytest.FixtureRequest, tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("image")
    return xfs(folder / "xfs.img", tree, SIZE, *request.param, label="root")


def test_everything_is_read_as_it_was_written(image: Path, tree: Path) -> None:
    with FileDisk(image) as disk:
        system = Xfs(disk)
        seen = {entry.path: entry for entry in system.walk()}
        assert seen.keys() == {str(each.relative_to(tree)) for each in tree.rglob("*")} | {"."}
        assert system.label == "root"
        for path, entry in seen.items():
            found = (tree / path).lstat()
            assert entry.mode == found.st_mode & 0o7777
            assert (entry.uid, entry.gid) == (found.st_uid, found.st_gid)
            if entry.kind == "file":
                assert entry.size == found.st_size
                assert entry.open().read() == (tree / path).read_bytes()
            elif entry.kind == "symlink":
                assert entry.target == str((tree / path).readlink())


def test_it_is_found_and_listed_in_order(image: Path) -> None:
    with FileDisk(image) as disk:
        system = Xfs(disk)
        names = [entry.path for entry in system.list("many")]
        assert names == [f"many/a-file-among-many-{number:05}" for number in range(1200)]
        for path in ("nothing", "large/below", "link/x"):
            assert system.find(path) is None


def test_devices_and_owners_of_a_prototype(tmp_path: Path) -> None:
    image = tmp_path / "xfs.img"
    image.touch()
    os.truncate(image, SIZE)
    prototype = tmp_path / "prototype"
    lines = [
        "/stub",
        "0 0",
        "d--755 0 0",
        "null c--666 0 0 1 3",
        "disk b--660 100000 70000 300 70000",
    ]
    prototype.write_text("\n".join([*lines, "fifo p--600 1 2", "$", ""]))
    run("mkfs.xfs", "-q", "-p", prototype, image)
    with FileDisk(image) as disk:
        seen = {entry.path: entry for entry in Xfs(disk).walk()}
    assert (seen["null"].kind, seen["null"].device) == ("char", (1, 3))
    assert (seen["disk"].kind, seen["disk"].device) == ("block", (300, 70000))
    assert (seen["disk"].uid, seen["disk"].gid) == (100000, 70000)
    assert seen["fifo"].kind == "fifo"


def test_attributes_are_read(tree: Path, tmp_path: Path) -> None:
    """Short ones are in the inode; xfs_db makes those that are in a block, and those beyond it."""
    image = xfs(tmp_path / "xfs.img", tree, SIZE)
    for path, size in (("/empty", 20), ("/large", 1500), ("/etc/os-release", 3000)):
        for number in range(4):
            command = f"attr_set -v {size} -n name{number}"
            run("xfs_db", "-x", "-c", f"path {path}", "-c", command.replace("-n ", ""), image)
        run("xfs_db", "-x", "-c", f"path {path}", "-c", "attr_set -s -v 30 selinux", image)
        run("xfs_db", "-x", "-c", f"path {path}", "-c", "attr_set -r -v 1 mine", image)
    with FileDisk(image) as disk:
        system = Xfs(disk)
        for path, size in (("empty", 20), ("large", 1500), ("etc/os-release", 3000)):
            entry = system.find(path)
            assert entry is not None
            sizes = {name: len(value) for name, value in entry.xattrs.items()}
            assert sizes == {
                **{f"user.name{number}": size for number in range(4)},
                "security.selinux": 30,
                "trusted.mine": 1,
            }


def test_a_log_that_was_not_closed_is_seen(tree: Path, tmp_path: Path) -> None:
    image = xfs(tmp_path / "xfs.img", tree, SIZE)
    with FileDisk(image) as disk:
        assert not Xfs(disk).is_dirty
    with image.open("r+b") as file:
        head = file.read(4096)
        start = _offset(head, struct.unpack_from(">Q", head, 48)[0])
        file.seek(start + 512 + 9)  # the flags of the first operation after a record's header
        file.write(b"\0")
    with FileDisk(image) as disk:
        assert Xfs(disk).is_dirty


def _offset(head: bytes, block: int) -> int:
    """Return where a block is: the high bits of its number are its group."""
    size = int.from_bytes(head[4:8], "big")
    group_blocks, bits = int.from_bytes(head[84:88], "big"), head[124]
    return ((block >> bits) * group_blocks + (block & (1 << bits) - 1)) * size


def test_extents_in_a_tree_are_read(tree: Path, tmp_path: Path) -> None:
    """A file in one extent gets a tree for it: a root in the inode, and a leaf in a free block."""
    image = xfs(tmp_path / "xfs.img", tree, SIZE)
    head, number = _head(image), _number_of(image, "/large")
    inodes_bits, group_bits = head[123], head[124]
    where = _offset(head, number >> inodes_bits) + 512 * (number & (1 << inodes_bits) - 1)
    free = 3 << group_bits | int.from_bytes(head[84:88], "big") - 8  # at the end of the last group
    with image.open("r+b") as file:
        file.seek(where)
        inode = bytearray(file.read(512))
        (count,) = struct.unpack_from(">I", inode, 76)
        none = 2**64 - 1
        leaf = struct.pack(
            ">4sHHQQQQ16sQII", b"BMA3", 0, count, none, none, 0, 0, b"", number, 0, 0
        )
        file.seek(_offset(head, free))
        file.write(leaf + inode[176 : 176 + 16 * count])
        keys = (512 - 176 - 4) // 16
        inode[176:] = struct.pack(">HH", 1, 1) + bytes(8 * keys) + struct.pack(">Q", free)
        inode[5] = 3
        file.seek(where)
        file.write(inode)
    with FileDisk(image) as disk:
        entry = Xfs(disk).find("large")
        assert entry is not None
        content = entry.open()
        assert isinstance(content, Content)
        assert content.read() == (tree / "large").read_bytes()


def _head(image: Path) -> bytes:
    with image.open("rb") as file:
        return file.read(4096)


def _number_of(image: Path, path: str) -> int:
    shown = run("xfs_db", "-r", "-c", f"path {path}", "-c", "print v3.inumber", image)
    return int(shown.split("=")[1])


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (0, b"XFSX", "no superblock"),
        (4, struct.pack(">I", 1000), "makes no sense"),
        (84, struct.pack(">I", 0), "makes no sense"),
        (216, struct.pack(">I", 0x1B), "says itself"),
        (216, struct.pack(">I", 0x10B), "can't be read: 0x100"),
        (56, struct.pack(">Q", 1 << 50), "beyond its end"),
        (56, struct.pack(">Q", 131), "no directory|can't be read"),
        (8, struct.pack(">Q", 1 << 30), "is cut"),
    ],
)
def test_damage_of_the_superblock_is_named(
    offset: int, value: bytes, reason: str, tree: Path, tmp_path: Path
) -> None:
    image = xfs(tmp_path / "xfs.img", tree, SIZE)
    with image.open("r+b") as file:
        file.seek(offset)
        file.write(value)
    with FileDisk(image) as disk, pytest.raises(FormatError, match=reason):
        Xfs(disk)


@pytest.mark.parametrize("size", [0, 512, 70_000, MIB, 100 * MIB])
def test_one_that_is_cut_is_refused(size: int, tree: Path, tmp_path: Path) -> None:
    image = xfs(tmp_path / "xfs.img", tree, SIZE)
    with FileDisk(image) as disk, pytest.raises(FormatError):
        Xfs(Part(disk, 0, size))


class Damaged:
    """A disk of which some blocks are others: an image is too large to be copied each time."""

    def __init__(self, disk: FileDisk, start: int, data: bytes) -> None:
        self._disk = disk
        self._start = start
        self._data = data
        self.size = disk.size

    def read(self, offset: int, size: int) -> bytes:
        whole = bytearray(self._disk.read(offset, size))
        first = max(offset, self._start)
        last = min(offset + size, self._start + len(self._data))
        if first < last:
            whole[first - offset : last - offset] = self._data[
                first - self._start : last - self._start
            ]
        return bytes(whole)

    extents = FileDisk.extents


@pytest.fixture(scope="module", params=[(), ("-m", "crc=0")])
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    files: dict[str, bytes | str] = {f"d/file-{number}": "x" * number for number in range(60)}
    tree = plant(folder / "tree", {**files, "e/a": "a", "e/b": "b"})
    (tree / "link").symlink_to("d" * 100)
    image = xfs(folder / "xfs.img", tree, SIZE, *request.param)
    for number in range(1 if request.param else 3):  # xfs_db fails at larger ones of version 4
        command = f"attr_set -v {number * 900 + 5} name{number}"
        run("xfs_db", "-x", "-c", "path /e/a", "-c", command, image)
    return image


@EXAMPLES
@given(data=st.data())
def test_damaged_metadata_is_refused_in_time(data: st.DataObject, small: Path) -> None:
    """Only `FormatError` comes out, whatever is in the inodes, the directories and the rest."""
    with FileDisk(small) as disk:
        first = disk.read(0, 2 * MIB)
        places = [
            range(at, at + 512) for at in range(0, len(first), 512) if _is_metadata(first, at)
        ]
        try:
            read_all(Xfs(Damaged(disk, 0, flip(data, first, places))))
        except FormatError:
            return


def _is_metadata(image: bytes, at: int) -> bool:
    magic = image[at : at + 4]
    known = (b"XFSB", b"XDB3", b"XDD3", b"XD2B", b"XD2D", b"XSLM")
    leaf = image[at + 8 : at + 10] in (b"\x3b\xee", b"\xfb\xee")
    in_use = magic[:2] == b"IN" and magic[2:] != b"\0\0"
    return magic in known or in_use or leaf
