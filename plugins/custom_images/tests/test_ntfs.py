"""NTFS as mkntfs and wimlib write it, read without mounting."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest
from disk_builder import ntfs, plant, run
from file_disk import FileDisk
from hypothesis import given
from hypothesis import strategies as st
from mirror_custom_images.filesystems.ntfs import Ntfs
from reader_fuzz import EXAMPLES, flip, read_all

from mirror.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024**2

RANDOM = bytes(os.urandom(300_000))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a volume as Windows has them, in small."""
    folder = tmp_path_factory.mktemp("ntfs")
    files: dict[str, bytes | str] = {
        "Windows/System32/config/SYSTEM": RANDOM,
        "Windows/resident.txt": "resident",
        "Grüße ☃ 😀.txt": "x",
        "empty": "",
    }
    files |= {f"many/file {number:04} of many": str(number) for number in range(600)}
    tree = plant(folder / "tree", files)
    with (tree / "sparse").open("wb") as sparse:
        sparse.seek(3 * MIB)
        sparse.write(b"after a hole")
        sparse.truncate(5 * MIB)
    (tree / "Windows/link").symlink_to("System32/config")
    for number in range(80):  # so many names need an attribute list
        (tree / f"Windows/name-{number:03}-of-the-resident-file").hardlink_to(
            tree / "Windows/resident.txt"
        )
    return ntfs(folder / "ntfs.img", tree, 24 * MIB, label="System")


@pytest.fixture
def volume(image: Path) -> Iterator[Ntfs]:
    with FileDisk(image) as disk:
        yield Ntfs(disk)


def test_everything_is_read_as_it_was_written(image: Path, volume: Ntfs) -> None:
    tree = image.parent / "tree"
    seen = {}
    for entry in volume.walk():
        seen[entry.path] = entry
        path = tree / entry.path
        if entry.kind == "file":
            assert path.is_file()
            assert entry.size == path.stat().st_size
            assert entry.open().read() == path.read_bytes()
            assert abs(entry.mtime - path.stat().st_mtime_ns) < 100
    wanted = {str(each.relative_to(tree)) for each in tree.rglob("*")}
    assert seen.keys() == wanted | {"."}
    assert seen["Windows/link"].kind == "symlink"
    assert seen["Windows/link"].target == "System32/config"
    assert seen["many"].kind == "dir"
    assert volume.label == "System"


def test_names_are_found_in_any_case_and_told_as_they_are_written(volume: Ntfs) -> None:
    entry = volume.find("WINDOWS/system32/Config/system")
    assert entry is not None
    assert entry.path == "Windows/System32/config/SYSTEM"
    assert entry.open().read() == RANDOM
    assert [each.path for each in volume.list("windows/SYSTEM32")] == ["Windows/System32/config"]


@pytest.mark.parametrize(
    "path", ["nothing", "empty/below", "Windows/../empty", "$MFT", "$Extend", "a\\b", "\0"]
)
def test_what_is_not_there_is_not_found(path: str, volume: Ntfs) -> None:
    assert volume.find(path) is None
    assert not list(volume.list(path))


def test_a_file_has_nothing_in_it(volume: Ntfs) -> None:
    assert not list(volume.list("empty"))


def test_content_is_read_from_anywhere(volume: Ntfs) -> None:
    entry = volume.find("sparse")
    assert entry is not None
    with entry.open() as content:
        content.seek(3 * MIB + 6)
        assert content.read(6) == b"a hole"
        content.seek(-1, os.SEEK_END)
        assert content.read() == b"\0"


def test_a_volume_that_windows_did_not_leave_cleanly_says_so(tmp_path: Path) -> None:
    image = ntfs(tmp_path / "ntfs.img", plant(tmp_path / "tree", {"a": "a"}))
    with FileDisk(image) as disk:
        assert not Ntfs(disk).is_dirty
    run("ntfsfix", image)  # it has Windows check the volume
    with FileDisk(image) as disk:
        assert Ntfs(disk).is_dirty


@pytest.mark.parametrize(("content", "sleeps"), [(b"HIBR\0", True), (b"\0\0\0\0", False)])
def test_hibernation_is_seen(content: bytes, sleeps: bool, tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"memory": content})
    image = ntfs(tmp_path / "ntfs.img", tree)
    run("ntfscp", image, tree / "memory", "hiberfil.sys")  # wimlib would leave it out
    with FileDisk(image) as disk:
        assert Ntfs(disk).is_hibernated is sleeps


def test_a_volume_that_is_cut_is_refused_or_read_in_part(image: Path, tmp_path: Path) -> None:
    whole = image.read_bytes()
    for size in (512, 4096, 70_000, MIB, 8 * MIB):
        short = tmp_path / "short.img"
        short.write_bytes(whole[:size])
        with FileDisk(short) as disk, pytest.raises(FormatError):
            read_all(Ntfs(disk))


@EXAMPLES
@given(data=st.data())
def test_damage_is_refused_in_time(data: st.DataObject, small: bytes) -> None:
    """Only `FormatError` comes out of a volume with damaged records."""
    with FileDisk(flip(data, small, places=_records(small))) as disk:
        try:
            read_all(Ntfs(disk))
        except FormatError:
            return


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("small")
    files: dict[str, bytes | str] = {f"d/file {number}": "x" * number for number in range(60)}
    tree = plant(folder / "tree", {**files, "big": bytes(range(256)) * 100})
    return ntfs(folder / "ntfs.img", tree, 2 * MIB).read_bytes()


def _records(image: bytes) -> list[range]:
    """Return where the boot sector and the records are: of files, and of indices."""
    starts = itertools.chain(_found(image, b"FILE"), _found(image, b"INDX"))
    return [range(512), *(range(start, start + 1024) for start in starts)]


def _found(image: bytes, magic: bytes) -> Iterator[int]:
    at = image.find(magic)
    while at >= 0:
        if at % 512 == 0:
            yield at
        at = image.find(magic, at + 1)
