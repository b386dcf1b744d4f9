"""What is written into a FAT file system is read back by mtools, fsck.vfat and our reader."""

from __future__ import annotations

import io
import os
import struct

import pytest
from disk_builder import run
from fat_images import (
    AT,
    HOOKS,
    SIZES,
    THERE,
    Unhurried,
    as_bytes,
    below,
    copied,
    entries,
    file_entry,
    one_of_each_size,
    wrapped,
)
from file_disk import FileDisk
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.entries import Entry
from mirror_custom_images.filesystems.fat import Fat
from mirror_custom_images.filesystems.fat_volume import Patches
from mirror_custom_images.filesystems.fat_writer import put

from mirror.api import BuildRefused
from mirror.formats import FormatError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return one_of_each_size(tmp_path_factory.mktemp("made"))


@pytest.fixture(params=SIZES)
def image(request, made, tmp_path):
    return copied(made[request.param], tmp_path / "disk")


@pytest.fixture
def image16(made, tmp_path):
    return copied(made[16], tmp_path / "disk")


def test_a_tree_is_written_and_read_back(image):
    image.put("curtin", HOOKS)
    assert image.files() == as_bytes(THERE) | below("curtin", HOOKS)
    assert "Reclaimed" not in image.check()


def test_mtools_reads_it(image, tmp_path):
    image.put("curtin", HOOKS)
    for path, content in below("curtin", HOOKS).items():
        if path.isascii():
            out = tmp_path / "out"
            run("mcopy", "-n", "-i", f"{image.file}@@{AT}", f"::/{path}", out)
            assert out.read_bytes() == content
    listed = run("mdir", "-b", "-i", f"{image.file}@@{AT}", "::/curtin").splitlines()
    assert sorted(listed) == [
        "::/curtin/curtin-hooks",
        "::/curtin/empty",
        "::/curtin/scripts.tar.xz",
        "::/curtin/sub/",
    ]


def test_what_is_around_it_is_untouched(image):
    image.put("curtin", HOOKS)
    data = image.bytes()
    assert data[:AT] == b"\xaa" * AT
    assert data[-AT:] == b"\xbb" * AT


def test_a_file_is_written_into_directories_that_are_made(image):
    image.put_entries("EFI/vendor/New Directory/shim.efi", [file_entry(".", "shim")])
    assert image.files() == as_bytes(THERE | {"EFI/vendor/New Directory/shim.efi": "shim"})
    image.check()


def test_the_same_writes_make_the_same_bytes(made, tmp_path):
    one, two = (copied(made[16], tmp_path / name) for name in "ab")
    one.put("curtin", HOOKS)
    two.put("curtin", HOOKS)
    assert one.bytes() == two.bytes()


def test_times_are_kept(image16):
    noon = 1_700_000_000 * 10**9
    image16.put_entries("new", [file_entry(".", "x", noon)])
    with FileDisk(image16.file) as disk:
        found = Fat(Part(disk, AT, image16.size))
        assert found.find("new").mtime == noon
        assert run("mdir", "-i", f"{image16.file}@@{AT}", "::/new").count("2023-11-14  22:13")


def test_short_names_get_a_number_where_one_is_taken(image):
    image.kind = Unhurried
    for number in range(12):
        image.put(f"a long name {number}.text", {".": str(number)})
    with FileDisk(image.file) as disk:
        slots = list(Fat(Part(disk, AT, image.size)).slots(None))
    aliases = [each.alias for each in slots if each.name.startswith("a long")]
    assert aliases == [f"ALONGN~{number}.TEX" for number in range(1, 10)] + [
        f"ALONG~{number}.TEX" for number in (10, 11, 12)
    ]
    image.check()


def test_a_directory_grows(image):
    image.kind = Unhurried
    image.put("many", {"first": "1"})
    for number in range(60):
        image.put(f"many/file number {number} of them", {".": str(number)})
    found = image.files()
    assert len(found) == 61 + len(THERE)
    assert found["many/file number 59 of them"] == b"59"
    image.check()


def test_free_slots_are_used_again(image16):
    image16.kind = Unhurried
    for number in range(40):
        image16.put(f"file number {number} of them", {".": ""})
    listed = f"{image16.file}@@{AT}"
    run("mdel", "-i", listed, *(f"::/file number {number} of them" for number in range(10, 20)))
    image16.put("a name that fits where the others were", {".": "here"})
    with FileDisk(image16.file) as disk:
        found = Fat(Part(disk, AT, image16.size))
        slot = found.look_up("a name that fits where the others were")[0]
        assert slot.index < found.look_up("file number 39 of them")[0].index
    image16.check()


def test_what_lies_behind_the_end_of_a_directory_does_not_come_to_be_seen(image16):
    with FileDisk(image16.file) as disk:
        geometry = Fat(Part(disk, AT, image16.size)).geometry
    raw = bytearray(image16.bytes())
    root = AT + geometry.root_at
    end = next(at for at in range(root, root + geometry.root_size, 32) if raw[at] == 0)
    for at in range(end + 32, root + geometry.root_size, 32):
        raw[at : at + 32] = b"GARBAGE    \x20".ljust(32, b"\0")
    image16.file.write_bytes(raw)
    image16.put("curtin", HOOKS)
    assert image16.files() == as_bytes(THERE) | below("curtin", HOOKS)


def test_something_there_is_refused(image):
    before = image.bytes()
    with pytest.raises(BuildRefused, match=r"there is a efi/boot/bootx64\.efi already"):
        image.put("efi/boot/bootx64.efi", {".": "other"})
    with pytest.raises(BuildRefused, match=r"README.TXT is a file"):
        image.put("README.TXT/below", {".": "other"})
    assert image.bytes() == before


def test_a_tree_is_replaced_whole_and_its_clusters_given_back(image):
    image.put("curtin", HOOKS)
    free = image.free()
    image.put("curtin", {"other": "o"}, replace=True)
    assert image.files() == as_bytes(THERE | {"curtin/other": "o"})
    assert image.free() > free
    image.put("curtin", HOOKS, replace=True)
    assert image.free() == free
    assert image.files() == as_bytes(THERE) | below("curtin", HOOKS)
    image.check()


def test_a_file_is_replaced_by_a_directory_and_back(image):
    image.put("README.TXT", {"inside": "1"}, replace=True)
    assert image.files()["README.TXT/inside"] == b"1"
    image.put("readme.txt", {".": "2"}, replace=True)
    assert image.files()["README.TXT"] == b"2"
    image.check()


def test_fsinfo_is_kept_right(made, tmp_path):
    image = copied(made[32], tmp_path / "disk")
    image.put("curtin", HOOKS)
    assert "Free cluster summary" not in image.check()
    raw = image.bytes()
    assert struct.unpack_from("<I", raw, AT + 512 + 488)[0] == image.free()


def test_a_full_disk_is_refused_before_anything_is_written(image):
    before = image.bytes()
    with pytest.raises(BuildRefused, match=r"has no room: [0-9,]+ bytes are needed") as refused:
        image.put("curtin", {"big": bytes(image.free() * 512 * 65)})
    assert refused.value.remedy
    assert image.bytes() == before


def test_what_just_fits_is_written(image):
    with FileDisk(image.file) as disk:
        cluster = Fat(Part(disk, AT, image.size)).geometry.cluster
    image.put("big", {".": os.urandom(image.free() * cluster)})
    assert image.free() == 0
    image.check()
    with pytest.raises(BuildRefused, match="has no room"):
        image.put("more", {".": "1"})
    image.put("nothing", {".": ""})
    assert image.files()["nothing"] == b""


def test_a_full_root_is_refused(tmp_path):
    alone = tmp_path / "alone"
    alone.touch()
    os.truncate(alone, SIZES[16])
    run("mkfs.vfat", "-F", "16", "-r", "64", alone)
    image = wrapped(alone)
    image.kind = Unhurried
    for number in range(65):
        try:
            image.put(f"N{number}", {".": ""})
        except BuildRefused as refused:
            assert "is full" in refused.what  # noqa: PT017
            break
    else:
        pytest.fail("a root of FAT16 never gets full")
    assert number == 64
    image.check()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a:b": ""}, "'a:b' has a character"),
        ({"a\nb": ""}, "has a character"),
        ({"ends.": ""}, "has a character, or an end"),
        ({"a" * 256: ""}, "more than 255 letters"),
        ({"bad\udcff": ""}, "is no UTF-8"),
        ({"one": "", "ONE": ""}, "ONE is there twice"),
        ({"a": "", "a/b": ""}, "a/b is below a file"),
        ({"a/b": "", "a": ""}, "a is there twice"),
        ({"a/b": "", "A/c": ""}, "spelt a too"),
        ({"/".join("a" * 40): ""}, "40 directories deep"),
    ],
)
def test_what_a_fat_cant_hold_is_refused(image16, files, message):
    before = image16.bytes()
    with pytest.raises(BuildRefused, match=message):
        image16.put("curtin", files)
    assert image16.bytes() == before


def test_links_are_refused(image16):
    with pytest.raises(BuildRefused, match="link is a symlink"):
        image16.put_entries("x", [Entry(path="link", kind="symlink", target="y")])


def test_the_root_is_no_place_for_a_file(image16):
    with pytest.raises(BuildRefused, match="the root is no place"):
        image16.put("/", {".": ""})


def test_a_file_that_has_less_than_it_said_leaves_all_as_it_was(image16):
    before = image16.files()
    lies = Entry(path=".", kind="file", size=9999, open=lambda: io.BytesIO(b"little"))
    with pytest.raises(FormatError, match="bytes fewer than it said"):
        image16.put_entries("new", [lies])
    assert image16.files() == before
    image16.check()


def test_a_stream_of_small_pieces_is_written(image16):
    class Trickle(io.BytesIO):
        def read(self, size: int = -1) -> bytes:
            return super().read(min(size, 100))

    data = os.urandom(9999)
    image16.put_entries(
        "new",
        [Entry(path=".", kind="file", size=9999, open=lambda: Trickle(data))],
    )
    assert image16.files()["new"] == data


def test_patches_are_what_a_write_in_place_does(image):
    with FileDisk(image.file) as disk:
        target = Patches(Part(disk, AT, image.size))
        put(target, "curtin", entries(HOOKS))
        put(target, "curtin", entries({"less": "x"}), replace=True)
        raw = bytearray(image.bytes())
        found = Fat(target)
        assert found.find("curtin/less").open().read() == b"x"
    assert image.bytes() == bytes(raw)
    patches = target.written(AT)
    assert len(patches) < 20
    for at, data in patches:
        raw[at : at + len(data)] = data
    image.put("curtin", HOOKS)
    image.put("curtin", {"less": "x"}, replace=True)
    assert image.bytes() == bytes(raw)
