from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from disk_samples import FORMS, MIB, compress, convert, data_of, raw_disk, tar_of
from mirror_custom_images.disks.containers import open_disk

from mirror.formats import FormatError

COMPRESSIONS = ["gzip", "xz", "bzip2", "zstd"]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return raw_disk(tmp_path_factory.mktemp("disks") / "raw")


@pytest.fixture(scope="module")
def form_of_raw(raw):
    made = {}

    def make(form):
        if form not in made:
            made[form] = convert(raw, raw.with_name(form), form)
        return made[form]

    return make


def check_same(disk, raw):
    """Read a disk in each of the ways that there are, and compare with the raw one."""
    content = raw.read_bytes()
    assert disk.size == len(content)
    assert disk.read(0, disk.size) == content
    pieces = bytearray(disk.size)
    for start, end in disk.extents(0, disk.size):
        pieces[start:end] = disk.read(start, end - start)
    assert pieces == content
    chance = random.Random(5)
    for _ in range(300):
        start = chance.randrange(disk.size)
        size = min(chance.choice([1, 511, 4096, 100_000, MIB]), disk.size - start)
        assert disk.read(start, size) == content[start : start + size]
        clipped = list(disk.extents(start, start + size))
        assert all(start <= begin < end <= start + size for begin, end in clipped)
        assert clipped == sorted(clipped)
    assert disk.read(disk.size, 0) == disk.read(5, 0) == b""
    assert list(disk.extents(7, 7)) == []
    for offset, size in ((disk.size, 1), (disk.size - 5, 6), (-1, 4), (3, -1)):
        with pytest.raises(FormatError, match=r"^is read beyond its end"):
            disk.read(offset, size)


def data_of_blocks(raw, block):
    """Where a disk has data, in blocks of some MiB."""
    content, size = raw.read_bytes(), block * MIB
    found = []
    for at in range(0, len(content), size):
        if content[at : at + size].strip(b"\0"):
            start = found.pop()[0] if found and found[-1][1] == at else at
            found.append((start, at + size))
    return found


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_the_disk_that_it_was_made_of(form, form_of_raw, raw, tmp_path):
    file = form_of_raw(form)
    with open_disk(file, tmp_path) as disk:
        check_same(disk, raw)
        found = list(disk.extents(0, disk.size))
        if form.startswith("vhdx"):  # of which qemu-img says that all of it is data
            assert found == data_of_blocks(raw, 1 if form == "vhdx-1m" else 24)
        elif "fixed" not in form:
            assert found == data_of(file, FORMS[form][0])
    assert not list(tmp_path.iterdir())


def test_a_raw_disk_has_the_holes_of_its_file(raw, tmp_path):
    with open_disk(raw, tmp_path) as disk:
        check_same(disk, raw)
        assert list(disk.extents(0, disk.size)) == data_of(raw, "raw")
        assert sum(end - start for start, end in disk.extents(0, disk.size)) < 4 * MIB


@pytest.mark.parametrize("form", COMPRESSIONS)
def test_what_is_compressed_is_expanded_to_a_file_with_holes(form, raw, tmp_path):
    file = compress(raw, tmp_path / "packed", form)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with open_disk(file, scratch) as disk:
        check_same(disk, raw)
        (made,) = scratch.iterdir()
        assert made.stat().st_blocks * 512 < 4 * MIB
        assert made.stat().st_size == 24 * MIB
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("form", ["", *COMPRESSIONS])
@pytest.mark.parametrize("holes", [False, True])
def test_a_disk_in_a_tar(form, holes, raw, tmp_path):
    file = tar_of(tmp_path / "packed", raw, form=form, holes=holes)
    with open_disk(file, tmp_path) as disk:
        check_same(disk, raw)


@pytest.mark.parametrize("form", ["qcow2", "qcow2-zlib", "vhd", "vhd-fixed", "vhdx"])
@pytest.mark.parametrize("tarred", [False, True])
def test_a_form_that_is_compressed_is_opened_too(form, tarred, form_of_raw, raw, tmp_path):
    file = form_of_raw(form)
    made = tmp_path / "made"
    made = tar_of(made, file, form="gzip") if tarred else compress(file, made, "gzip")
    with open_disk(made, tmp_path) as disk:
        check_same(disk, raw)


@pytest.mark.parametrize("form", ["qcow2", "qcow2-zlib", "qcow2-zstd", "vhd", "vhdx"])
def test_threads_may_read_at_once(form, form_of_raw, raw, tmp_path):
    content = raw.read_bytes()
    with open_disk(form_of_raw(form), tmp_path) as disk, ThreadPoolExecutor(8) as pool:
        places = [random.Random(n).randrange(disk.size - 70_000) for n in range(400)]
        for place, data in zip(
            places, pool.map(lambda at: disk.read(at, 70_000), places), strict=True
        ):
            assert data == content[place : place + 70_000]
