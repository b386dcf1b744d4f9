from __future__ import annotations

import struct
import subprocess
import sys
import tracemalloc

import pytest
from disk_builder import run
from disk_samples import MIB, compress, convert, cut, patched, raw_disk, tar_of
from mirror_custom_images.disks import bombs
from mirror_custom_images.disks.containers import open_disk
from mirror_custom_images.disks.crc32c import crc32c

from mirror.formats import FormatError
from mirror.testing.kernels import packed

GIB = 1024**3
REGIONS = 192 * 1024


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return raw_disk(tmp_path_factory.mktemp("damage") / "raw")


@pytest.fixture(scope="module")
def vhd(raw):
    return convert(raw, raw.with_name("vhd"), "vhd")


@pytest.fixture(scope="module")
def vhdx(raw):
    return convert(raw, raw.with_name("vhdx"), "vhdx-1m")


@pytest.fixture
def content(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def read(file, **options) -> bytes:
        with open_disk(file, scratch, **options) as disk:
            return disk.read(0, disk.size)

    yield read
    assert not list(scratch.iterdir())


# --- expanded -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["gzip", "xz", "bzip2", "zstd"])
@pytest.mark.parametrize("tarred", [False, True])
def test_what_is_cut_or_damaged_when_expanded(form, tarred, raw, content, tmp_path):
    if tarred:
        file = tar_of(tmp_path / "file", raw, form=form)
    else:
        file = compress(raw, tmp_path / "file", form)
    whole = file.stat().st_size
    for place in (1, 20, whole // 3, whole - 200, whole - 1):
        with pytest.raises(FormatError, match=r"^(is cut|is damaged|is no image)"):
            content(cut(file, tmp_path / "made", place))
    with pytest.raises(FormatError, match=r"^is (cut|damaged)|^has something else behind"):
        content(patched(file, tmp_path / "made", whole // 2, b"\x5a" * 100))
    with pytest.raises(FormatError, match=r"^has something else behind its \w+ data, at byte"):
        content(patched(file, tmp_path / "made", whole, b"garbage"))
    assert content(patched(file, tmp_path / "made", whole, bytes(512))) == raw.read_bytes()


def test_a_tar_of_more_than_one_file(raw, content, tmp_path):
    other = tmp_path / "second"
    other.write_text("x")
    # so large that what comes behind it is not seen at first
    file = tar_of(tmp_path / "file", raw, other, form="gzip")
    with pytest.raises(FormatError, match=r"^is a tar of more than one disk image: 'second' is in"):
        content(file)
    link = tmp_path / "link"
    link.symlink_to("raw")
    with pytest.raises(FormatError, match=r"^is a tar of more than one disk image: 'link' is in"):
        content(tar_of(tmp_path / "file", raw, link))


def test_what_is_no_disk(content, tmp_path):
    (tmp_path / "etc").mkdir()
    file = tar_of(tmp_path / "file", tmp_path / "etc", form="gzip")
    with pytest.raises(
        FormatError,
        match=r"^is no disk image that can be read, but a tar of a root file system, compressed",
    ):
        content(file)
    raw = raw_disk(tmp_path / "raw")
    run("qemu-img", "convert", "-f", "raw", "-O", "vmdk", raw, tmp_path / "vmdk")
    with pytest.raises(FormatError, match=r"can be read, but a vmdk file$"):
        content(tmp_path / "vmdk")
    twice = compress(compress(raw, tmp_path / "once", "gzip"), tmp_path / "twice", "xz")
    with pytest.raises(FormatError, match=r"can be read, but a gzip file, compressed with xz$"):
        content(twice)


@pytest.mark.parametrize("tarred", [False, True])
def test_more_than_the_limit(tarred, raw, content, tmp_path):
    if tarred:
        file = tar_of(tmp_path / "file", raw, form="gzip")
    else:
        file = compress(raw, tmp_path / "file", "gzip")
    assert content(file, limit=24 * MIB) == raw.read_bytes()
    with pytest.raises(FormatError, match=r"^expands to more than"):
        content(file, limit=24 * MIB - 1)


def test_a_disk_that_is_zeros_but_for_one_percent_is_no_bomb():
    """A disk of 100 GiB, of which 1 GiB is data, whatever its zeros were compressed to."""
    for packed_size in (30 * MIB, 300 * MIB):
        bombs.check_ratio(GIB, packed_size, 99 * GIB)
    with pytest.raises(FormatError, match=r"^expands to far more than an image does"):
        bombs.check_ratio(0, 200_000, 256 * GIB)


def test_a_bomb_of_data_is_stopped_on_the_way(raw, content, tmp_path):
    """It is stopped when it has written a GiB and a bit: this one would go on for long."""
    bomb = tmp_path / "bomb"
    head = packed(raw.read_bytes()[:MIB], "zstd")
    bomb.write_bytes(head + packed(b"boom" * (16 * MIB), "zstd") * 100)
    with pytest.raises(FormatError, match=r"^expands to far more than an image does: 1,[0-2]"):
        content(bomb)


def test_little_memory_is_used(content, tmp_path):
    raw = tmp_path / "raw"
    raw_disk(raw, 200 * MIB)
    file = compress(raw, tmp_path / "file", "zstd")
    tracemalloc.start()
    (tmp_path / "other").mkdir()
    with open_disk(file, tmp_path / "other") as disk:
        assert disk.size == 200 * MIB
    assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    tracemalloc.stop()


def test_a_full_disk_is_not_the_fault_of_the_image(raw, tmp_path):
    """The limit of a process, which has an errno of its own, shows what any lack of room does."""
    file = compress(raw, tmp_path / "file", "gzip")
    program = """
import errno, pathlib, resource, sys
from mirror_custom_images.disks.containers import open_disk
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
try:
    with open_disk(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])):
        pass
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = [sys.executable, "-c", program, file, scratch]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "EFBIG\n"
    assert not list(scratch.iterdir())


# --- VHD ------------------------------------------------------------------------------------------


def vhd_sum(data: bytes, at: int) -> bytes:
    """Mend the checksum of a footer or a header of a VHD."""
    data = data[:at] + bytes(4) + data[at + 4 :]
    return data[:at] + struct.pack(">I", ~sum(data) & 0xFFFFFFFF) + data[at + 4 :]


def with_footer(file, made, at: int, data: bytes):
    footer = bytearray(file.read_bytes()[-512:])
    footer[at : at + len(data)] = data
    return patched(file, made, file.stat().st_size - 512, vhd_sum(bytes(footer), 64))


def with_header(file, made, at: int, data: bytes):
    header = bytearray(file.read_bytes()[512:1536])
    header[at : at + len(data)] = data
    return patched(file, made, 512, vhd_sum(bytes(header), 36))


@pytest.mark.parametrize(
    ("patch", "at", "data", "clause"),
    [
        (with_footer, 60, b"\0\0\0\4", "is a part of a chain"),
        (with_footer, 60, b"\0\0\0\7", "is a VHD of a kind that is not known: 7"),
        (with_footer, 60, b"\0\0\0\2", r"is cut: [\d,]+ of 25,165,824 bytes"),
        (with_footer, 84, b"\1", "is the disk of a virtual machine that was not shut down"),
        (with_footer, 48, bytes(8), "holds a disk of 0 bytes"),
        (with_footer, 48, b"\xff" * 8, "holds a disk of 18,446,744,073,709,551,615 bytes"),
        (with_footer, 48, bytes(3) + b"\1" + bytes(4), "is damaged: its table is too small"),
        (with_footer, 16, b"\xff" * 8, "is cut: its header is not in it"),
        (with_footer, 16, bytes(8), "is damaged: its header is not where it should be"),
        (with_header, 16, b"\xff" * 8, "is cut: its table is not in it"),
        (with_header, 28, bytes(4), "is damaged: its table is too small for its disk"),
        (with_header, 32, b"\0\0\0\7", "is damaged: it has blocks of 7 bytes"),
    ],
)
def test_a_vhd_that_cannot_be(patch, at, data, clause, vhd, content, tmp_path):
    with pytest.raises(FormatError, match=f"^{clause}"):
        content(patch(vhd, tmp_path / "made", at, data))


def test_a_vhd_with_a_damaged_table(vhd, content, tmp_path):
    def refused(at, data, clause):
        with pytest.raises(FormatError, match=f"^{clause}"):
            content(patched(vhd, tmp_path / "made", at, data))

    refused(vhd.stat().st_size - 400, b"x", "is damaged: its footer does not match")
    refused(600, b"x", "is damaged: its header does not match its checksum")
    table = struct.unpack(">Q", vhd.read_bytes()[528:536])[0]
    refused(table, b"\0\xff\xff\xff", "is cut: its data goes on after")
    first = vhd.read_bytes()[table : table + 4]
    refused(table, first * 12, "is damaged: blocks in it overlap")


@pytest.mark.parametrize("form", ["vhd", "vhdx", "vhdx-1m", "vhdx-fixed"])
def test_a_form_that_is_cut_is_refused(form, raw, content, tmp_path):
    file = convert(raw, tmp_path / "file", form)
    whole = file.stat().st_size
    for place in sorted({8, 511, 512, 1000, *range(1000, whole, whole // 25)}):
        made = cut(file, tmp_path / "made", place)
        with pytest.raises(FormatError, match=r"^is (cut|damaged)"):
            content(made)


# --- VHDX -----------------------------------------------------------------------------------------


def vhdx_sum(data: bytes) -> bytes:
    crc = crc32c(data[:4] + bytes(4) + data[8:])
    return data[:4] + struct.pack("<I", crc) + data[8:]


def test_the_checksum_is_castagnolis():
    assert crc32c(b"123456789") == 0xE3069283


def with_log(file, made, size: int = MIB):
    """Both headers with the identity of a log, which is of `size` bytes."""
    for at in (64 * 1024, 128 * 1024):
        header = bytearray(file.read_bytes()[at : at + 4096])
        header[48:64] = b"L" * 16
        header[68:72] = struct.pack("<I", size)
        file = patched(file, made, at, vhdx_sum(bytes(header)))
    return file


def test_a_vhdx_that_was_not_closed(vhdx, content, raw, tmp_path):
    made = with_log(vhdx, tmp_path / "made")
    assert content(made) == raw.read_bytes()  # there is nothing in its log
    entry = b"loge" + bytes(28) + b"L" * 16
    (log,) = struct.unpack_from("<Q", made.read_bytes(), 64 * 1024 + 72)
    old = patched(made, tmp_path / "old", log + 8192, entry[:-1] + b"M")
    assert content(old) == raw.read_bytes()
    with pytest.raises(FormatError, match=r"^was not closed: it has a log of changes"):
        content(patched(made, made, log + 8192, entry))
    with pytest.raises(FormatError, match=r"^is cut: its log goes on after"):
        content(with_log(vhdx, tmp_path / "made", 2**31))


def test_one_of_each_two_copies_is_enough(vhdx, content, raw, tmp_path):
    made = tmp_path / "made"
    for at in (64 * 1024, 128 * 1024, REGIONS, 256 * 1024):
        assert content(patched(vhdx, made, at + 60, b"damage")) == raw.read_bytes()
    both = patched(patched(vhdx, made, 65_600, b"damage"), made, 131_200, b"damage")
    with pytest.raises(FormatError, match=r"^is damaged: neither of its headers is whole"):
        content(both)
    both = patched(patched(vhdx, made, REGIONS + 60, b"x"), made, 256 * 1024 + 60, b"x")
    with pytest.raises(FormatError, match=r"^is damaged: neither of its tables of regions"):
        content(both)


def region(file, index):
    """Where a region of a VHDX is."""
    (at,) = struct.unpack_from("<Q", file.read_bytes(), REGIONS + 16 + index * 32 + 16)
    return at


def test_a_vhdx_that_cannot_be(vhdx, content, tmp_path):
    data = vhdx.read_bytes()
    table, metadata = region(vhdx, 0), region(vhdx, 1)
    assert data.startswith(b"metadata", metadata)
    items = {}
    for index in range(5):
        entry = metadata + 32 + index * 32
        items[data[entry : entry + 4].hex()] = (
            entry, metadata + struct.unpack_from("<I", data, entry + 16)[0]
        )  # fmt: skip

    def refused(at, data, clause):
        with pytest.raises(FormatError, match=f"^{clause}"):
            content(patched(vhdx, tmp_path / "made", at, data))

    parameters, size, sector = items["3767a1ca"], items["2442a52f"], items["1dbf4181"]
    refused(parameters[1] + 4, b"\2", "is a part of a chain")
    refused(parameters[1], b"\7", "is damaged: its blocks or sectors are of a size that can't be")
    refused(sector[1], b"\7", "is damaged: its blocks or sectors are of a size that can't be")
    refused(size[1], bytes(8), "holds a disk of 0 bytes")
    refused(size[1], b"\xff" * 8, "holds a disk of 18,446,744,073,709,551,615 bytes")
    refused(size[1], struct.pack("<Q", 2**41), "is damaged: its table is too small for its disk")
    refused(size[0] + 20, b"\7\0", "is damaged: its metadata can't be read")
    refused(size[0] + 16, b"\xff" * 4, "is damaged: its metadata can't be read")
    refused(size[0], bytes(16), "has metadata that is not known")
    refused(metadata + 10, b"\xff\xff", "is damaged: it has 65,535 items of metadata")
    refused(metadata + 10, b"\1\0", "is damaged: metadata is missing in it")
    refused(metadata, b"x", "is damaged: its metadata can't be read")
    refused(table, struct.pack("<Q", 7), "is a part of a chain")
    refused(table, struct.pack("<Q", 6), "is damaged: a block in it is nowhere")
    refused(table, struct.pack("<Q", 2**60 | 6), "is cut: its data goes on after")
    first = data[table : table + 8]
    refused(table, first * 24, "is damaged: blocks in it overlap")
