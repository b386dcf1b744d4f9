from __future__ import annotations

import struct
import time
import tracemalloc

import pytest
from disk_builder import run
from disk_samples import MIB, convert, cut, data_of, patched, qcow2_chain, raw_disk
from mirror_custom_images.disks.containers import open_disk

from mirror.formats import FormatError

SIZE, L1_SIZE, L1_AT, FEATURES = 24, 36, 40, 72
CLUSTER = 65_536


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return raw_disk(tmp_path_factory.mktemp("qcow2") / "raw")


@pytest.fixture(scope="module")
def image(raw):
    return convert(raw, raw.with_name("image"), "qcow2")


@pytest.fixture(scope="module")
def compressed(raw):
    return convert(raw, raw.with_name("compressed"), "qcow2-zlib")


@pytest.fixture
def content(tmp_path):
    def read(file) -> bytes:
        with open_disk(file, tmp_path) as disk:
            return disk.read(0, disk.size)

    return read


def u32(number):
    return struct.pack(">I", number)


def u64(number):
    return struct.pack(">Q", number)


def number_at(file, at):
    return struct.unpack_from(">Q", file.read_bytes(), at)[0]


def table_at(file):
    """Where the only table of the second level is."""
    return number_at(file, number_at(file, L1_AT)) & 0x00FFFFFFFFFFFE00


# --- what other programs do to an image -----------------------------------------------------------


def test_what_was_zeroed_discarded_and_kept_in_a_snapshot(image, content, tmp_path):
    file = patched(image, tmp_path / "image", 0, b"")
    run("qemu-img", "snapshot", "-c", "before", file)
    for command in ("write -P 7 0 64k", "write -z 2M 128k", "write -z -u 4M 64k",
                    "discard 9502720 64k", "write -P 9 20M 1000"):  # fmt: skip
        run("qemu-io", "-f", "qcow2", "-c", command, file)
    run("qemu-img", "convert", "-O", "raw", file, tmp_path / "expected")
    assert content(file) == (tmp_path / "expected").read_bytes()
    with open_disk(file, tmp_path) as disk:
        assert list(disk.extents(0, disk.size)) == data_of(file, "qcow2")


@pytest.mark.parametrize("size", [512, 65_024, 65_536 * 3 + 512, 24 * MIB + 1536])
def test_a_disk_of_any_size(size, content, tmp_path):
    raw, made = tmp_path / "raw", tmp_path / "made"
    raw.write_bytes(b"\x55" * size)
    for options in ([], ["-c"]):
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, raw, made)
        assert content(made) == raw.read_bytes()


def test_one_that_was_not_closed_is_read(image, content, raw, tmp_path):
    assert content(patched(image, tmp_path / "made", FEATURES, u64(1))) == raw.read_bytes()


def test_a_part_of_a_chain_is_refused_with_the_name_of_what_lacks(image, content, tmp_path):
    made = qcow2_chain(tmp_path / "made", image)
    with pytest.raises(FormatError, match=rf"^is a part of a chain: .* in '{image}'; `qemu-img"):
        content(made)


def test_what_is_not_read_here_is_refused_with_the_reason(content, tmp_path):
    made = tmp_path / "made"
    create = ("qemu-img", "create", "-q", "-f", "qcow2", "-o")
    run(*create, "extended_l2=on", made, "10M")
    with pytest.raises(FormatError, match=r"^has extended tables, which are not read here"):
        content(made)
    run(*create, f"data_file={tmp_path / 'data'}", made, "10M")
    with pytest.raises(FormatError, match=r"^has its data in another file"):
        content(made)
    run("qemu-img", "create", "-q", "-f", "qcow", made, "10M")
    with pytest.raises(FormatError, match=r"^is of version 1 of qcow"):
        content(made)


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "data", "clause"),
    [
        (4, u32(9), "is of version 9 of qcow"),
        (8, u64(2**60) + u32(20), "is a part of a chain: what it lacks is in another file"),
        (20, u32(8), "is damaged: it has clusters of 2\\^8 bytes"),
        (20, u32(99), "is damaged: it has clusters of 2\\^99 bytes"),
        (SIZE, u64(0), "holds a disk of 0 bytes"),
        (SIZE, u64(2**63), "holds a disk of 9,223,372,036,854,775,808 bytes"),
        (SIZE, u64(2**40), "is damaged: its tables are too small for its disk"),
        (32, u32(2), "is encrypted"),
        (L1_SIZE, u32(0), "is damaged: its tables are too small for its disk"),
        (L1_AT, u64(1000), "is damaged: its tables are not where a cluster begins"),
        (L1_AT, u64(2**60), "is cut: its tables go on after"),
        (FEATURES, u64(2), "is marked as corrupt"),
        (FEATURES, u64(1 << 40), "has features that are not known: 0x10000000000"),
        (FEATURES, u64(8) + bytes(24) + b"\7", "is compressed in a way that is not known: 7"),
    ],
)
def test_a_header_that_cannot_be(at, data, clause, image, content, tmp_path):
    with pytest.raises(FormatError, match=f"^{clause}"):
        content(patched(image, tmp_path / "made", at, data))


def test_tables_that_cannot_be(image, content, tmp_path):
    l1, l2 = number_at(image, L1_AT), table_at(image)
    entry = number_at(image, l2)

    def refused(at, number, clause):
        made = patched(image, tmp_path / "made", at, u64(number))
        with pytest.raises(FormatError, match=f"^{clause}"):
            content(made)

    refused(l1, l2 | 512, "is damaged: a table in it is not where a cluster begins")
    refused(l1, 2**50, "is cut: its data goes on after")
    refused(l2, entry | 512, "is damaged: cluster 0 begins within another one")
    refused(l2, 2**50, "is cut: its data goes on after")
    refused(l2, 1 << 62 | 2**50, "is cut: its data goes on after")
    refused(l2, 1 << 62 | l2, "is damaged: a cluster at byte .* can't be expanded")
    old = convert(image.with_name("raw"), tmp_path / "old", "qcow2-v2")
    made = patched(old, tmp_path / "made", table_at(old), u64(1))
    with pytest.raises(FormatError, match=r"^is damaged: it has zero clusters"):
        content(made)


def test_a_table_that_is_used_twice(image, content, tmp_path):
    l1, l2 = number_at(image, L1_AT), table_at(image)
    many = patched(image, tmp_path / "many", l1, u64(l2) * 8192)
    many = patched(many, many, SIZE, u64(2**40) + u32(0) + u32(8192))
    with pytest.raises(FormatError, match=r"^is damaged: a table in it is used twice"):
        content(many)


def test_a_cluster_that_is_used_for_all_of_the_disk(image, content, tmp_path):
    l2 = table_at(image)
    made = patched(image, tmp_path / "made", l2, u64(l2) * 8192)
    made = patched(made, made, SIZE, u64(512 * MIB))
    with pytest.raises(FormatError, match=r"^is damaged: clusters in it are used twice"):
        content(made)


def test_a_bomb_of_compressed_clusters(compressed, content, tmp_path):
    l1, l2 = number_at(compressed, L1_AT), table_at(compressed)
    entry = u64(number_at(compressed, l2))
    tables = b"".join(entry * 8192 for _ in range(4))
    end = compressed.stat().st_size
    end += -end % CLUSTER
    made = patched(compressed, tmp_path / "made", end, tables)
    made = patched(made, made, l1, b"".join(u64(end + n * CLUSTER) for n in range(4)))
    made = patched(made, made, SIZE, u64(2**31) + u32(0) + u32(4))
    with pytest.raises(FormatError, match=r"^expands to far more than an image does: 2,147,"):
        content(made)


def test_absurd_tables_cost_nothing(image, content, tmp_path):
    """512 bytes a cluster, and the largest first table that fits: nothing is allocated for it."""
    made = patched(image, tmp_path / "made", 20, u32(9) + u64(2**41) + u32(0) + u32(2**32 - 1))
    tracemalloc.start()
    started = time.monotonic()
    with pytest.raises(FormatError, match=r"^has a table of 536,870,912 bytes: 33,554,432 are the"):
        content(made)
    made = patched(made, made, SIZE, u64(2**37))
    with pytest.raises(FormatError, match=r"^is cut: its tables go on after"):
        content(made)
    assert time.monotonic() - started < 10
    assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    tracemalloc.stop()


@pytest.mark.parametrize("form", ["qcow2", "qcow2-zlib", "qcow2-zstd", "qcow2-512", "qcow2-2m"])
def test_one_that_is_cut_is_refused(form, content, raw, tmp_path):
    file = convert(raw, tmp_path / "file", form)
    expected, whole = raw.read_bytes(), file.stat().st_size
    places = {1, 5, 60, 72, 100, 104, *range(512, whole, whole // 40), whole - 1}
    for place in sorted(places):
        made = cut(file, tmp_path / "made", place)
        if place > whole * 0.9 and unhurt(made, content, expected):
            continue  # what is missing is counts of references, or the end of a sector
        with pytest.raises(FormatError, match=r"^(is cut|is damaged|is no image|begins with)"):
            content(made)


def unhurt(file, content, expected) -> bool:
    try:
        return content(file) == expected
    except FormatError:
        return False


@pytest.mark.parametrize("form", ["qcow2-zlib", "qcow2-zstd"])
def test_a_cluster_that_expands_to_something_else(form, content, raw, tmp_path):
    """Too little, too much, or garbage: a cluster is of the size that it is."""
    file = convert(raw, tmp_path / "file", form)
    entry = number_at(file, table_at(file) + 2 * 8 * 32)  # at 4 MiB, where it compresses well
    assert entry >> 62 & 1
    at = entry & ((1 << 54) - 1)
    for data in (bytes(40), b"\xff" * 40, b"\3\0", b"\x28\xb5\x2f\xfd\x20\1\t\0\0x"):
        made = patched(file, tmp_path / "made", at, data)
        with pytest.raises(FormatError, match=f"^is damaged: a cluster at byte {at:,} can't be"):
            content(made)
