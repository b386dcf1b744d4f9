"""FAT file systems that are damaged anywhere: reading ends with `FormatError`, soon, or not at all.

What is written into a damaged one is refused, or is whole afterwards, and so is what was whole
before.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import pytest
from disk_builder import MIB, fat, plant
from file_disk import FileDisk
from hypothesis import given
from hypothesis import strategies as st
from mirror_custom_images.entries import Entry
from mirror_custom_images.filesystems.fat import Fat
from mirror_custom_images.filesystems.fat_check import check_fat
from mirror_custom_images.filesystems.fat_volume import Patches
from mirror_custom_images.filesystems.fat_writer import put
from reader_fuzz import EXAMPLES, flip, read_all

from mirror.api import BuildRefused
from mirror.formats import FormatError

SIZES = {12: MIB, 16: 9 * MIB, 32: 34 * MIB}
TREE = {
    "EFI/BOOT/BOOTX64.EFI": "loader" * 2000,
    "curtin/curtin-hooks": "hooks" * 500,
    "curtin/a name that takes some slots of its directory": "x" * 3000,
    "README.TXT": "read me",
    "deep/1/2/3/end": "here",
    **{f"many/file {number}": "" for number in range(60)},
}


class Held:
    """A disk in memory: holes of a FAT32 are not copied for each example."""

    def __init__(self, image: bytes) -> None:
        self._image = image
        self.size = len(image)

    def read(self, offset: int, size: int) -> bytes:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise FormatError("is read beyond its end")
        return self._image[offset : offset + size]

    def extents(self, start: int, end: int):
        yield start, min(end, self.size)


@pytest.fixture(scope="module")
def images() -> dict[int, bytes]:
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        tree = plant(Path(folder) / "tree", TREE)
        for bits, size in SIZES.items():
            made[bits] = fat(Path(folder) / "fat.img", tree, size, bits=bits).read_bytes()
    return made


def where(image: bytes) -> list[range]:
    """Return the places that matter: the boot sector, the tables, the root, the first clusters."""
    geometry = Fat(Held(image)).geometry
    used = geometry.fat_at + 400
    return [
        range(11, 90),
        range(geometry.fat_at, used),
        range(geometry.fat_at + geometry.fat_size, geometry.fat_at + geometry.fat_size + 400),
        range(geometry.root_at, geometry.data_at + 8 * geometry.cluster),
        range(geometry.data_at, min(geometry.data_at + 60 * geometry.cluster, len(image))),
    ]


@EXAMPLES
@given(data=st.data(), bits=st.sampled_from(sorted(SIZES)))
def test_reading_ends_with_format_errors_only(images, data, bits):
    image = flip(data, images[bits], where(images[bits]))
    with contextlib.suppress(FormatError):
        found = Fat(Held(image))
        with contextlib.suppress(FormatError):
            assert isinstance(found.label, str)
        with contextlib.suppress(FormatError):
            found.find("curtin/curtin-hooks")
        with contextlib.suppress(FormatError):
            list(found.list("many"))
        with contextlib.suppress(FormatError):
            check_fat(found)
        read_all(found)


@EXAMPLES
@given(data=st.data(), bits=st.sampled_from(sorted(SIZES)), replace=st.booleans())
def test_writing_is_refused_or_whole(images, data, bits, replace):
    image = flip(data, images[bits], where(images[bits]))
    target = Patches(Held(image))
    new = {"curtin-hooks": b"new" * 3000, "more/and more": b"x" * 9999}
    entries = [
        Entry(path=path, kind="file", size=len(content), open=lambda c=content: io.BytesIO(c))
        for path, content in new.items()
    ]
    at = "curtin" if replace else "some new/hooks"
    try:
        put(target, at, entries, replace=replace)
    except (FormatError, BuildRefused):
        return
    before, after = Fat(Held(image)), Fat(target)
    check_fat(after)
    kept = contents(before)
    kept = {path: data for path, data in kept.items() if not path.lower().startswith(f"{at}/")}
    found = contents(after)
    spelt = {path: data for path, data in found.items() if path not in kept}
    assert {path: found[path] for path in kept} == kept
    assert {path.rpartition("/")[2]: data for path, data in spelt.items()} == {
        path.rpartition("/")[2]: data for path, data in new.items()
    }


def contents(found: Fat) -> dict[str, bytes]:
    return {each.path: each.open().read() for each in found.walk() if each.kind == "file"}


@EXAMPLES
@given(image=st.binary(min_size=0, max_size=4096), tail=st.integers(0, 3))
def test_anything_at_all_is_no_reason_for_another_error(image, tail):
    raw = bytearray(image.ljust(512, b"\0"))
    raw[11:24] = bytes.fromhex("0002010100020002000040f801")
    for candidate in (image, bytes(raw) + bytes(tail * MIB)):
        with FileDisk(bytes(candidate)) as disk, contextlib.suppress(FormatError):
            read_all(Fat(disk))


NAMES = st.text(
    st.characters(exclude_characters='"*/:<>?\\|\x7f', exclude_categories=("Cc", "Cs")),
    min_size=1,
    max_size=60,
).filter(lambda name: name[-1] not in ". " and name not in (".", ".."))


@EXAMPLES
@given(
    bits=st.sampled_from(sorted(SIZES)),
    files=st.dictionaries(NAMES, st.binary(max_size=5000), max_size=40),
)
def test_whatever_is_written_is_read(images, bits, files):
    target = Patches(Held(images[bits]))
    entries = [
        Entry(path=path, kind="file", size=len(content), open=lambda c=content: io.BytesIO(c))
        for path, content in files.items()
    ]
    try:
        put(target, "new", entries)
    except BuildRefused as refused:
        assert "is there twice" in refused.what  # noqa: PT017  (two cases of one name)
        return
    found = Fat(target)
    check_fat(found)
    expected = {f"new/{path}": content for path, content in files.items()}
    assert {path: data for path, data in contents(found).items() if path.startswith("new/")} == (
        expected
    )
    for path, content in expected.items():
        assert found.find(path).open().read() == content
