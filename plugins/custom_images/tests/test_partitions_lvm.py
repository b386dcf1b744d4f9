"""Logical volumes: read where they are linear, told where not; hostile descriptions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from disk_builder import LVM, MIB, Slice, gpt, run
from file_disk import FileDisk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lvm_builder import Logical, metadata, physical, write_metadata
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.disks.lvm_text import parse_lvm
from mirror_custom_images.disks.partitions import read_partitions
from mirror_custom_images.disks.volumes import LogicalVolume, read_volumes

from mirror.formats import FormatError

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = int(os.environ.get("MIRROR_FUZZ_EXAMPLES", "60"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def contents(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("lvm")
    found = {}
    for name, size in (("root", 12 * MIB), ("data", 8 * MIB)):
        found[name] = folder / name
        found[name].write_bytes(os.urandom(size))
    return found


@pytest.fixture
def pv(contents, tmp_path) -> Path:
    volumes = [
        Logical("root", contents["root"], [(3, 1), (0, 2)]),
        Logical("data", contents["data"], [(5, 2)]),
    ]
    return physical(tmp_path / "pv", volumes)


def volumes_of(*images: Path) -> list[LogicalVolume]:
    return read_volumes([FileDisk(each) for each in images])


def test_pvck_takes_what_the_tests_make(pv):
    assert "metadata text" in run("pvck", "--dump", "metadata", pv)


def test_volumes_in_pieces_are_read_in_order(pv, contents):
    data, root = volumes_of(pv)
    assert (data.name, root.name) == ("vg0/data", "vg0/root")
    for volume in (data, root):
        assert volume.disk is not None
        expected = contents[volume.name.removeprefix("vg0/")].read_bytes()
        assert volume.disk.size == len(expected)
        assert volume.disk.read(0, len(expected)) == expected
        over_the_seam = volume.disk.read(4 * MIB - 100, 300)
        assert over_the_seam == expected[4 * MIB - 100 : 4 * MIB + 200]
        with pytest.raises(FormatError, match="beyond its end"):
            volume.disk.read(len(expected) - 1, 2)


def test_the_holes_of_a_volume_are_known(tmp_path):
    content = tmp_path / "content"
    content.touch()
    os.truncate(content, 12 * MIB)
    with content.open("r+b") as file:
        file.seek(9 * MIB)
        file.write(b"x" * 4096)
    pv = physical(tmp_path / "pv", [Logical("root", content, [(0, 1), (6, 2)])])
    (root,) = volumes_of(pv)
    assert root.disk is not None
    assert list(root.disk.extents(0, root.disk.size)) == [(9 * MIB, 9 * MIB + 4096)]


def test_a_volume_group_within_a_partition(pv, tmp_path):
    disk = FileDisk(gpt(tmp_path / "disk", [Slice(size=MIB), Slice(pv, LVM)]))
    each = read_partitions(disk).partitions[1]
    names = [volume.name for volume in read_volumes([Part(disk, each.start, each.size)])]
    assert names == ["vg0/data", "vg0/root"]


def test_metadata_that_goes_round_its_area(pv, contents):
    text = metadata([Logical("root", contents["root"], [(3, 1), (0, 2)])], pv.stat().st_size)
    write_metadata(pv, text, at=MIB - 4096 - 512)
    assert "metadata text" in run("pvck", "--dump", "metadata", pv)
    (root,) = volumes_of(pv)
    assert root.disk is not None
    assert root.disk.read(0, 100) == contents["root"].read_bytes()[:100]


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("striped", "stripe_count = 2\nstripe_size = 128", "striped over 2 parts"),
        ("raid1", "device_count = 2", "of type 'raid1'"),
        ("thin", 'thin_pool = "pool"', "of type 'thin'"),
        ("cache", "a = 1", "of type 'cache'"),
    ],
)
def test_other_volumes_are_told(contents, tmp_path, kind, more, words):
    volume = Logical("root", contents["root"], [(0, 3)], kind, more)
    (root,) = volumes_of(physical(tmp_path / "pv", [volume]))
    assert root.disk is None
    assert words in root.why


def test_a_volume_beyond_the_end(contents, tmp_path):
    pv = physical(tmp_path / "pv", [Logical("root", contents["root"], [(0, 3)])], size=32 * MIB)
    os.truncate(pv, 10 * MIB)
    (root,) = volumes_of(pv)
    assert root.why == "goes beyond the end of its physical volume"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("start_extent = 1", "start_extent = 0", "do not follow"),
        ('"pv0", 0', '"pv9", 0', "on no physical volume"),
        ('"pv0", 0', '"pv0", -1', "on no physical volume"),
        ('"pv0", 0', "0, 0", "on no physical volume"),
        ("segment_count = 2", "segment_count = 3", "no number start_extent"),
        ("segment_count = 2", "segment_count = 999999999", "in 999,999,999 pieces"),
        ("extent_count = 2", "extent_count = 999999999999", "beyond the end"),
        ('id = "aaaaaa', 'id = "bbbbbb', "not in the image"),
    ],
)
def test_a_volume_that_lies(contents, tmp_path, old, new, words):
    volume = Logical("root", contents["root"], [(3, 1), (0, 2)])
    pv = physical(tmp_path / "pv", [volume])
    text = metadata([volume], pv.stat().st_size)
    assert old in text
    write_metadata(pv, text.replace(old, new))
    (root,) = volumes_of(pv)
    assert root.disk is None
    assert words in root.why


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (512 + 21, "its LVM label"),
        (4096 + 30, "header of its metadata"),
        (4608, "its metadata does"),
    ],
)
def test_damage(pv, at, words):
    with pv.open("r+b") as disk:
        disk.seek(at)
        disk.write(b"\xff")
    with pytest.raises(FormatError, match=words):
        volumes_of(pv)


@pytest.mark.parametrize(
    "text",
    ["{", "}", "a {", "a = ", "a = [", "a = [ 1, {", 'a = "', "= 1", "a b", "a {\n" * 9, "[ ] = 1",
     "a = }", "a = 1 }"],
)  # fmt: skip
def test_text_that_is_none(text):
    with pytest.raises(FormatError):
        parse_lvm(text)


def test_text_without_end():
    for text in (
        "a " * 4_000_000,
        "a = [" + "1," * 4_000_000,
        '"' + "\\" * 4_000_000,
        "a {\n" * 9999,
    ):
        with pytest.raises(FormatError):
            parse_lvm(text)


def test_values():
    text = 'a = -5 # five\nb = "x \\"y\\" {z}"\nc = ["1", 2]\nd = []\ne = 0.5\nf { g = 1 }\n'
    section = parse_lvm(text)
    assert section.values == {"a": -5, "b": 'x "y" {z}', "c": ["1", 2], "d": [], "e": "0.5"}
    assert section.section("f").number("g") == 1
    assert section.section("nothing").string("g") == ""
    with pytest.raises(FormatError):
        section.number("a")


def look(content: bytes) -> None:
    with FileDisk(content) as disk:
        try:
            volumes = read_volumes([disk])
        except FormatError:
            return
        for each in volumes:
            if each.disk is not None:
                assert each.disk.size >= 0
                list(each.disk.extents(0, each.disk.size))
                if each.disk.size >= 512:
                    each.disk.read(each.disk.size - 512, 512)


@FUZZ
@given(
    words=st.lists(
        st.tuples(
            st.integers(0, 400),
            st.sampled_from(
                ["0", "1", "99999999999", "{", "}", "[", "]", '"', "=", '"pv0"', "-1", ""]
            ),
        ),
        max_size=4,
    )
)
def test_descriptions_with_words_changed(contents, tmp_path, words):
    volume = Logical("root", contents["root"], [(3, 1), (0, 2)])
    image = tmp_path / "fuzz"
    image.touch()
    os.truncate(image, 24 * MIB)
    pieces = metadata([volume], 24 * MIB).split(" ")
    for index, word in words:
        pieces[index % len(pieces)] = word
    write_metadata(image, " ".join(pieces))
    with FileDisk(image) as disk:
        look(disk.read(0, 2 * MIB))


@FUZZ
@given(changes=st.lists(st.tuples(st.integers(0, 9000), st.binary(max_size=9)), max_size=9))
def test_physical_volumes_with_bytes_changed(pv, changes):
    with FileDisk(pv) as disk:
        content = bytearray(disk.read(0, 16384))
    for at, data in changes:
        content[at : at + len(data)] = data
    look(bytes(content))
