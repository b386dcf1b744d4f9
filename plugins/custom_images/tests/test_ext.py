"""ext2, ext3 and ext4 as e2fsprogs write them, read without mounting."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest
from disk_builder import ext4, plant, run
from file_disk import FileDisk
from hypothesis import given
from hypothesis import strategies as st
from mirror_custom_images.filesystems.content import Content
from mirror_custom_images.filesystems.ext import Ext
from reader_fuzz import EXAMPLES, flip, read_all

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mirror_custom_images.entries import Entry

MIB = 1024**2

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
LABEL = b"system_u:object_r:passwd_exec_t:s0\0"
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *each)
    for each in (
        (1, 6, 0xFFFFFFFF),
        (2, 4, 1234),
        (4, 4, 0xFFFFFFFF),
        (0x10, 6, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    )
)

KINDS: dict[str, Sequence[str]] = {
    "ext2": ("-t", "ext2", "-b", "1024"),
    "ext3": ("-t", "ext3"),
    "ext4": ("-t", "ext4"),
    "as mke2fs 1.47 makes it": ("-t", "ext4", "-O", "metadata_csum_seed,orphan_file"),
    "groups with their own descriptors": (
        *("-t", "ext4", "-b", "1024", "-g", "1024"),
        *("-O", "meta_bg,^resize_inode,^flex_bg"),
    ),
    "clusters": ("-t", "ext4", "-O", "bigalloc", "-C", "16384"),
    "lists of blocks": ("-t", "ext4", "-O", "^extents,^64bit", "-b", "2048"),
    "small inodes": ("-t", "ext4", "-I", "128"),
}


def make(image: Path, tree: Path, size: int, *options: str) -> Path:
    image.touch()
    os.truncate(image, size)
    run("mke2fs", "-q", "-F", "-L", "a label", *options, "-d", tree, image)
    return image


def debugfs(image: Path, *commands: str) -> None:
    """Change a file system as nobody but root could, were it mounted."""
    for command in commands:
        run("debugfs", "-w", "-R", command, image)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tree with what anyone may make."""
    files: dict[str, bytes | str] = {
        "etc/os-release": "ID=debian\n",
        "short": "s" * 40,
        "empty": "",
        "large": os.urandom(3 * MIB + 17),
    }
    files |= {f"many/a file among many {number:05}": str(number) for number in range(1500)}
    folder = plant(tmp_path_factory.mktemp("ext") / "tree", files)
    with (folder / "sparse").open("wb") as sparse:
        for number in range(0, 400, 2):  # more pieces than fit into an inode
            sparse.seek(number * 16384)
            sparse.write(b"piece %d" % number)
        sparse.truncate(9 * MIB)
    (folder / os.fsdecode(b"not-utf8-\xff\xfe")).write_bytes(b"x")
    (folder / "link").symlink_to("etc/os-release")
    (folder / "long-link").symlink_to("x/" * 200 + "x")
    (folder / "again").hardlink_to(folder / "etc/os-release")
    (folder / "etc/os-release").chmod(0o640)
    (folder / "many").chmod(0o1777)
    os.utime(folder / "large", ns=(0, 7_000_000_000 * 10**9))
    return folder


@pytest.fixture(scope="module", params=list(KINDS.values()), ids=list(KINDS))
def image(
    request: pytest.FixtureRequest, tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return make(tmp_path_factory.mktemp("image") / "ext.img", tree, 48 * MIB, *request.param)


def _read_heads(disk: FileDisk) -> None:
    for entry in Ext(disk).walk():
        if entry.kind == "file":
            entry.open().read(4096)


def _read(system: Ext) -> dict[str, Entry]:
    return {entry.path: entry for entry in system.walk() if entry.path != "lost+found"}


def test_everything_is_read_as_it_was_written(image: Path, tree: Path) -> None:
    with FileDisk(image) as disk:
        system = Ext(disk)
        seen = _read(system)
        wanted = {os.fsdecode(each.relative_to(tree)) for each in tree.rglob("*")}
        assert seen.keys() == wanted | {"."}
        assert system.label == "a label"
        assert not system.is_dirty
        for path, entry in seen.items():
            original = tree / path
            found = original.lstat()
            assert entry.mode == found.st_mode & 0o7777
            assert (entry.uid, entry.gid) == (found.st_uid, found.st_gid)
            if entry.kind == "file":
                assert entry.open().read() == original.read_bytes()
                assert entry.size == found.st_size
            elif entry.kind == "symlink":
                assert entry.target == str(original.readlink())
        assert seen["etc/os-release"].target == "again"
        assert (seen["again"].kind, seen["etc/os-release"].kind) == ("file", "hardlink")


def test_what_is_within_the_inode_is_read(tmp_path: Path) -> None:
    """Files and directories that are so short that their data is in the inode, or was."""
    files = {f"d{size}/{size:03}": "x" * size for size in range(0, 260, 13)}
    tree = plant(tmp_path / "tree", dict(files))
    for number in range(9):
        (tree / f"d0/{number}").symlink_to("t" * 25 * (number + 1))
    image = ext4(tmp_path / "ext.img", tree, 48 * MIB, "-O", "inline_data")
    with FileDisk(image) as disk:
        seen = _read(Ext(disk))
        assert {path: entry.open().read() for path, entry in seen.items() if path in files} == {
            path: content.encode() for path, content in files.items()
        }
    assert [len(seen[f"d0/{number}"].target) for number in range(9)] == list(range(25, 226, 25))


def test_it_is_found_and_listed_in_order(image: Path) -> None:
    with FileDisk(image) as disk:
        system = Ext(disk)
        names = [entry.path for entry in system.list("many")]
        assert names == [f"many/a file among many {number:05}" for number in range(1500)]
        entry = system.find("./many//a file among many 00777")
        assert entry is not None
        assert entry.open().read() == b"777"
        for path in ("nothing", "short/below", "link/os-release", "many/.."):
            assert system.find(path) is None
            assert not list(system.list(path))


def test_what_only_root_makes_is_read(tree: Path, tmp_path: Path) -> None:
    """debugfs makes it, so that the test is the same for everybody."""
    image = ext4(tmp_path / "ext.img", tree, 48 * MIB, "-b", "4096")
    for name, value in (("label", LABEL), ("capability", CAPABILITY), ("acl", ACL)):
        (tmp_path / name).write_bytes(value)
    debugfs(
        image,
        "mknod null c 1 3",
        "mknod disk b 300 60000",
        "mknod fifo p",
        "set_inode_field short uid 100000",
        "set_inode_field short gid 70000",
        "set_inode_field short mode 0106755",
        "set_inode_field short mtime @1700000000",
        "set_inode_field short mtime_extra 4000000000",
        f"ea_set -f {tmp_path / 'label'} short security.selinux",
        f"ea_set -f {tmp_path / 'capability'} short security.capability",
        f"ea_set -f {tmp_path / 'acl'} short system.posix_acl_access",
        f"ea_set short user.large {'v' * 900}",
        "ea_set short user.empty ''",
    )
    with FileDisk(image) as disk:
        seen = _read(Ext(disk))
    assert (seen["null"].kind, seen["null"].device) == ("char", (1, 3))
    assert (seen["disk"].kind, seen["disk"].device) == ("block", (300, 60000))
    assert seen["fifo"].kind == "fifo"
    entry = seen["short"]
    assert (entry.uid, entry.gid, entry.mode) == (100000, 70000, 0o6755)
    assert entry.mtime == 1_700_000_000 * 10**9 + 10**9
    assert entry.xattrs["security.selinux"] == LABEL
    assert entry.xattrs["security.capability"] == CAPABILITY
    assert entry.xattrs["system.posix_acl_access"] == ACL
    assert entry.xattrs["user.large"] == b"v" * 900
    assert len(entry.xattrs) == 5


def test_an_attribute_with_an_inode_of_its_own_is_read(tree: Path, tmp_path: Path) -> None:
    image = ext4(tmp_path / "ext.img", tree, 48 * MIB, "-b", "4096", "-O", "ea_inode")
    (tmp_path / "value").write_bytes(b"large" * 816)  # with its name, more than a block holds
    debugfs(image, f"ea_set -f {tmp_path / 'value'} short user.large")
    with FileDisk(image) as disk:
        entry = Ext(disk).find("short")
    assert entry is not None
    assert entry.xattrs["user.large"] == b"large" * 816


def test_holes_are_known(tree: Path, tmp_path: Path) -> None:
    with FileDisk(ext4(tmp_path / "ext.img", tree, 48 * MIB, "-b", "4096")) as disk:
        entry = Ext(disk).find("sparse")
        assert entry is not None
        content = entry.open()
        assert isinstance(content, Content)
        assert len(content.pieces()) == 200
        assert content.pieces()[1] == (32768, 36864)
        content.seek(32768 + 2)
        assert content.read(5) == b"ece 2"
        content.seek(-3, os.SEEK_END)
        assert content.read() == b"\0\0\0"


def test_one_that_was_not_unmounted_says_so(tree: Path, tmp_path: Path) -> None:
    image = ext4(tmp_path / "ext.img", tree, 48 * MIB)
    debugfs(image, "feature needs_recovery")
    with FileDisk(image) as disk:
        assert Ext(disk).is_dirty


def test_what_is_encrypted_is_refused(tree: Path, tmp_path: Path) -> None:
    image = ext4(tmp_path / "ext.img", tree, 48 * MIB, "-O", "encrypt")
    debugfs(image, "set_inode_field short flags 0x80800")
    with FileDisk(image) as disk:
        entry = Ext(disk).find("short")
        assert entry is not None
        with pytest.raises(FormatError, match="encrypted"):
            entry.open()


def test_a_file_of_an_absurd_size_costs_nothing(tree: Path, tmp_path: Path) -> None:
    image = ext4(tmp_path / "ext.img", tree, 48 * MIB)
    debugfs(image, f"set_inode_field short size {1 << 60}")
    with FileDisk(image) as disk:
        entry = Ext(disk).find("short")
        assert entry is not None
        content = entry.open()
        assert content.read(40) == b"s" * 40
        with pytest.raises(FormatError, match="small one"):
            content.read()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("ln <2> many/loop", "is a directory that is somewhere else as well"),
        ("ln many etc/many", "is a directory that is somewhere else as well"),
        ("clri short", "is no file"),
        ("set_inode_field large block[0] 0", "can't be read"),
        ("set_inode_field many block[5] 0x7fffffff", "beyond"),
        ("set_inode_field . mode 0100644", "no directory"),
        ("feature journal_dev", "can't be read: 0x8"),
        ("set_super_value inode_size 100", "makes no sense"),
        ("set_super_value blocks_per_group 0", "makes no sense"),
    ],
)
def test_damage_is_named(command: str, reason: str, tree: Path, tmp_path: Path) -> None:
    image = ext4(tmp_path / "ext.img", tree, 48 * MIB)
    debugfs(image, command)
    with FileDisk(image) as disk, pytest.raises(FormatError, match=reason):
        _read_heads(disk)


@pytest.fixture(scope="module", params=[(), ("-O", "inline_data"), ("-O", "^extents,^64bit")])
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("small")
    tree = plant(folder / "tree", {f"d/{number}": "x" * number * 20 for number in range(40)})
    (tree / "link").symlink_to("d" * 100)
    options = ("-b", "1024", "-N", "128", "-O", "^has_journal,^resize_inode", *request.param)
    image = ext4(folder / "ext.img", tree, MIB, *options)
    (folder / "acl").write_bytes(ACL)
    debugfs(image, f"ea_set d/3 user.large {'v' * 300}")
    debugfs(image, f"ea_set -f {folder / 'acl'} d/4 system.posix_acl_access")
    return image.read_bytes()


@EXAMPLES
@given(data=st.data())
def test_damaged_metadata_is_refused_in_time(data: st.DataObject, small: bytes) -> None:
    """Only `FormatError` comes out, whatever is in the blocks that are no file's content."""
    with FileDisk(flip(data, small, places=_metadata(small))) as disk:
        try:
            read_all(Ext(disk))
        except FormatError:
            return


def _metadata(image: bytes) -> list[range]:
    """Return the superblock, the inodes that are in use, and blocks of directories and the like."""
    inodes = [
        range(at, at + 256)
        for at in range(2048, len(image), 256)
        if image[at + 1] >> 4 in (4, 8, 10) and image[at + 26 : at + 28] in (b"\1\0", b"\3\0")
    ]
    names = [
        range(at, at + 1024)
        for at in range(2048, len(image), 1024)
        if image[at + 4 : at + 9] == b"\x0c\0\1\2." or image[at : at + 4] == b"\0\0\2\xea"
    ]
    return [range(1024, 2048), range(2048, 3072), *names, *inodes]


@pytest.mark.parametrize("size", [0, 1024, 4096, 70_000, MIB])
def test_one_that_is_cut_is_refused(size: int, tree: Path, tmp_path: Path) -> None:
    whole = ext4(tmp_path / "ext.img", tree, 48 * MIB).read_bytes()
    with FileDisk(whole[:size]) as disk, pytest.raises(FormatError):
        _read_heads(disk)


def test_a_disk_of_nothing_is_refused() -> None:
    with FileDisk(bytes(MIB)) as disk, pytest.raises(FormatError, match="no superblock"):
        Ext(disk)
