"""Bad images, given to the process that checks and builds them, which has its limits by default.

Each is refused soon, with the reason, by the reader: no limit of the process is met, nothing
crashes, and no more memory is taken than a good image of any size takes.
"""

from __future__ import annotations

import asyncio
import subprocess
import tarfile

import bad_images
import pytest
import pytest_asyncio
from bad_images import BLOCK, END, MIB, PACK, ROOT, header, member, pax, sparse
from image_bench import image_bench

from mirror.formats import FormatError, identify
from mirror.testing import artefacts
from mirror.testing.tools import tool

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST_MEMORY = 300 * MIB
MOST_SECONDS = 30
"""For what takes a few seconds, on a machine that does other things as well."""

BOOT = bad_images.mbr((0x83, 2048, 4096))
DISK = BOOT.ljust(MIB, b"\0") + artefacts.noise("a disk", 2 * MIB)
ARCHIVE = ROOT + member(b"usr/noise", artefacts.noise("an archive", MIB)) + END
DISK_TAR = member(b"disk.raw", DISK) + END


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory):
    async with image_bench(tmp_path_factory.mktemp("bad-images")) as opened:
        yield opened


def written(bench, data: bytes):
    file = bench.folder / "image"
    file.write_bytes(data)
    return file


async def found(bench, data, ftype: str = "root-tgz", name: str = "custom/ours"):
    """Return what is found in a file, or in bytes: soon, and in little memory."""
    file = written(bench, data) if isinstance(data, bytes) else data
    looked = await bench.inspect(file, ftype, name)
    assert looked.seconds < MOST_SECONDS
    assert looked.peak < MOST_MEMORY
    assert all(each.message.isprintable() for each in looked.findings)
    assert not any("Traceback" in each.message for each in looked.findings)
    return looked


# --- of every kind: cut, and damaged --------------------------------------------------------------

KINDS = {
    "root-tgz": PACK["gzip"](ARCHIVE),
    "root-tbz": PACK["bzip2"](ARCHIVE),
    "root-txz": PACK["xz"](ARCHIVE),
    "root-dd": PACK["gzip"](DISK_TAR),
    "root-dd.tar.bz2": PACK["bzip2"](DISK_TAR),
    "root-dd.tar.xz": PACK["xz"](DISK_TAR),
    "root-dd.tar": DISK_TAR,
    "root-dd.gz": PACK["gzip"](DISK),
    "root-dd.bz2": PACK["bzip2"](DISK),
    "root-dd.xz": PACK["xz"](DISK),
    "root-dd.raw": DISK,
}
PACKED = [ftype for ftype in KINDS if ftype not in {"root-dd.tar", "root-dd.raw"}]


@pytest.mark.parametrize("ftype", KINDS)
async def test_cut(bench, ftype):
    whole = KINDS[ftype]
    assert "unreadable" not in (await found(bench, whole, ftype)).errors
    for size in (len(whole) // 2, 20, 1, 0):
        looked = await found(bench, whole[:size], ftype)
        assert looked.errors, size
        if ftype != "root-dd.raw":
            built = await bench.refusal(written(bench, whole[:size]), "root-dd.gz")
            assert "custom/ours" in built


@pytest.mark.parametrize("ftype", PACKED)
async def test_damaged(bench, ftype):
    whole = KINDS[ftype]
    for at in (10, len(whole) // 2, len(whole) - 6):
        looked = await found(bench, bad_images.flipped(whole, range(at, at + 3)), ftype)
        assert looked.errors.keys() <= {"unreadable", "wrong-type"}, at
        assert looked.errors, at


@pytest.mark.parametrize("form", ["qcow2", "vpc", "vhdx", "squashfs"])
async def test_cut_containers(bench, form, tmp_path):
    if form == "squashfs":
        (tmp_path / "tree/usr").mkdir(parents=True)
        (tmp_path / "tree/usr/noise").write_bytes(DISK)
        command = [tool("mksquashfs"), tmp_path / "tree", tmp_path / "made", "-quiet"]
    else:
        (tmp_path / "raw").write_bytes(DISK)
        command = [tool("qemu-img"), "convert", "-O", form, tmp_path / "raw", tmp_path / "made"]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    whole = (tmp_path / "made").read_bytes()
    for cut in (len(whole) // 2, 600, 5):
        looked = await found(
            bench, whole[:cut], "squashfs" if form == "squashfs" else "root-dd.raw"
        )
        assert looked.errors, cut
        assert "custom/ours" in await bench.refusal(written(bench, whole[:cut]), "root-dd.gz")


# --- what expands to much -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "ftype"), [("gzip", "root-dd.gz"), ("bzip2", "root-dd.bz2"), ("xz", "root-dd.xz")]
)
async def test_a_bomb_of_data(bench, form, ftype):
    """1.5 GiB out of next to nothing."""
    reason = (await found(bench, bomb(bench, form), ftype)).errors["unreadable"]
    assert "expands to far more than an image does" in reason


@pytest.mark.parametrize("form", ["gzip", "zstd"])
async def test_a_bomb_of_data_is_not_built_of(bench, form):
    reason = await bench.refusal(bomb(bench, form), "root-dd.raw")
    assert "expands to far more than an image does" in reason


def bomb(bench, form: str):
    piece = b"\1" * (64 * MIB)
    start = b"\1" * 510 + b"\x55\xaa"
    return bad_images.repeated(bench.folder / "bomb", form, start, piece, 24)


async def test_a_bomb_in_an_archive(bench):
    start = ROOT + header(b"usr/zeros", 40 * 1024**3)
    file = bad_images.repeated(bench.folder / "bomb", "xz", start, bytes(64 * MIB), 200)
    assert "expands to more than" in (await found(bench, file, "root-txz")).errors["unreadable"]


async def test_layers(bench):
    for inner in (bytes(64 * MIB), ARCHIVE, DISK):
        looked = await found(bench, bad_images.layers(inner, 4))
        assert looked.errors.keys() <= {"wrong-type", "unreadable"}
        assert looked.errors


async def test_members_of_nothing(bench):
    data = KINDS["root-tgz"] + PACK["gzip"](b"") * 50_000
    looked = await found(bench, data)
    assert "hold next to nothing" in looked.errors["unreadable"]


# --- archives -------------------------------------------------------------------------------------


async def test_ten_million_members(bench):
    """Of which no more are read than fit into so small a file."""
    piece = header(b"usr/x") * 2**17
    file = bad_images.repeated(bench.folder / "many", "xz", ROOT, piece, 10_000_000 // 2**17)
    assert file.stat().st_size < 2 * MIB
    looked = await found(bench, file, "root-txz")
    assert "members: the file is not whole" in looked.errors["unreadable"]


async def refused(bench, *members: bytes) -> str:
    looked = await found(bench, PACK["gzip"](ROOT + b"".join(members) + END))
    return looked.errors["unreadable"]


async def test_headers_without_end(bench):
    long = pax((b"comment", b"x" * 1_000_000)) + member(b"usr/x")
    assert "bytes of extension headers" in await refused(bench, long * 70)
    assert "extension header of" in await refused(bench, header(b"x", 2**40, b"x"))
    assert "extension headers in a row" in await refused(bench, pax((b"a", b"b")) * 20)


async def test_names_that_are_none(bench):
    name = b"usr/" + b"d/" * 3000
    long = member(b"././@LongLink", name, kind=b"L") + member(b"x")
    assert "a name in it is no name" in await refused(bench, long)
    deep = member(b"././@LongLink", name[:4000], kind=b"L") + member(b"x")
    assert "unreadable" not in (await found(bench, PACK["gzip"](ROOT + deep * 500 + END))).codes


async def test_holes_that_cannot_be(bench):
    for size, holes in ((2**62, b"0,512"), (1024, b"512,512,0,512"), (10, b"5")):
        assert "holes" in await refused(bench, sparse(b"usr/x", size, holes))
    absurd = ROOT + sparse(b"var/lib/dpkg/status", 2**62, b"%d,0" % 2**62) + END
    looked = await found(bench, PACK["gzip"](absurd))
    assert "packages-unread" in looked.codes


async def test_names_of_any_bytes_and_links_that_climb(bench):
    looked = await found(
        bench,
        PACK["gzip"](
            ROOT
            + member(b"usr/\xff\xfe\n\x1b[2J")
            + member(b"usr/link", kind=b"1", target=b"../../etc/passwd")
            + member(b"../../out")
            + END
        ),
    )
    assert {"climbs", "link-climbs"} <= looked.errors.keys()
    good = ROOT + member(b"usr/\xff\xfe\n\x1b[2J") + member(b"usr/\xed\xa0\x80") + END
    assert (await found(bench, PACK["gzip"](good))).derived == ("manifest",)


async def test_texts_that_are_made_to_be_searched_for_hours(bench):
    size = 256 * 1024
    texts = {
        b"etc/apt/apt.conf": b"proxy " * (size // 6),
        b"etc/yum.conf": b"\n" * size,
        b"etc/environment": b"\n" * size,
        b"etc/fstab": b"\n" * size,
        b"etc/selinux/config": b"\n" * size,
        b"etc/udev/rules.d/70-persistent-net.rules": b"\n" * size,
        b"etc/cloud/cloud.cfg": b"\n" * size,
        b"etc/cloud/cloud.cfg.d/99.cfg": b"datasource_list:" + b"\n" * size,
        b"root/.ssh/authorized_keys": b"\n" * size,
        b"root/a.ks": b"rootpw" + b" " * size,
        b"root/b.ks": b" \t" * (size // 2),
    }
    data = PACK["gzip"](ROOT + b"".join(member(*each) for each in texts.items()) + END)
    assert (await found(bench, data)).seconds < 10


# --- disks ----------------------------------------------------------------------------------------


EXTENDED = bad_images.mbr((0x05, 1, 200))
TABLES = {
    "a GPT of 2^32 entries": (bad_images.gpt((64, 127), count=2**32 - 1), "gpt-damaged"),
    "one over the other": (bad_images.gpt((64, 200), (100, 300)), "partitions-overlap"),
    "to the end of the world": (bad_images.gpt((64, 2**63)), "partition-beyond-disk"),
    "one over the other, MBR": (bad_images.mbr((7, 1, 9), (7, 5, 9)), "partitions-overlap"),
    "extended, of itself": (bad_images.mbr((0x05, 0, 200)), "extended-partition-broken"),
    "a chain to its start": (
        EXTENDED + bad_images.mbr((0x83, 3, 1), (0x05, 0, 100)),
        "extended-partition-broken",
    ),
}


@pytest.mark.parametrize("table", TABLES)
async def test_tables_that_cannot_be(bench, table):
    disk, code = TABLES[table]
    assert code in (await found(bench, disk.ljust(4 * MIB, b"\0"), "root-dd.raw")).errors


async def test_qcow2_that_asks_for_much(bench):
    name = b"/etc/passwd"
    for image, words in (
        (bad_images.qcow2(2**60), "2,199,023,255,552 are the most"),
        (bad_images.qcow2(2**41, bits=9, l1=2**32 - 1), "bytes: 33,554,432 are the most"),
        (bad_images.qcow2(2**33, bits=9, l1=2**31), "is cut: its tables go on"),
        (bad_images.qcow2(2**30, backing=name, l1=2), "is a part of a chain"),
        (bad_images.qcow2(2**41, bits=21, l1=4), "expands to far more than an image does"),
    ):
        assert words in await bench.refusal(written(bench, image), "root-dd.gz")
        assert "wrong-type" in (await found(bench, image, "root-dd.gz")).errors


async def test_what_is_no_image_is_named(bench):
    """`identify` alone, which is asked first of all: a type, or the reason."""
    reasons = []
    for data in (b"", b"\0" * 9000, b"<html>", b"\x1f\x8b" + b"\xff" * 600, b"hsqs", b"QFI\xfb"):
        try:
            found_type = identify(written(bench, data))
        except FormatError as error:
            reasons.append(str(error))
        else:
            assert found_type.form
    assert len(reasons) >= 4


# --- good ones of any size ------------------------------------------------------------------------


async def test_a_large_disk_and_many_files_take_little_memory(bench):
    """A sparse disk of 2 GiB, and 100,000 files, which no list of packages tells of."""
    start = BOOT.ljust(MIB, b"\0") + artefacts.noise("a disk", 2 * MIB)
    file = bad_images.repeated(bench.folder / "large", "gzip", start, bytes(64 * MIB), 32)
    assert "unreadable" not in (await found(bench, file, "root-dd.gz")).errors
    file = bench.folder / "many"
    with tarfile.open(file, "w:gz", compresslevel=1) as archive:
        archive.fileobj.write(ROOT)
        for number in range(100_000):
            archive.fileobj.write(header(b"usr/share/%d/file-%d" % (number % 300, number)))
    assert file.stat().st_size > BLOCK
    assert (await found(bench, file)).derived == ("manifest",)
