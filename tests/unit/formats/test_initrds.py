from __future__ import annotations

import io
import tarfile
import tracemalloc

import pytest
from format_damage import damaged, only_refused
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.formats import FormatError, Initrd, initrd, read_initrd, read_initrd_stream
from mirror.testing import artefacts, kernels
from mirror.testing.artefacts import noise
from mirror.testing.kernels import cpio, initrd_image, packed

VERSION = "6.8.0-64-generic"
FORMATS = ["", "gzip", "xz", "lzma", "zstd", "bzip2", "lz4", "lz4-legacy"]
FILL = noise("modules", 3000)
MIB = 1024**2


def read(data: bytes) -> Initrd:
    return read_initrd_stream(io.BytesIO(data))


@pytest.mark.parametrize("form", FORMATS)
def test_an_initrd_is_read_to_its_end(form, tmp_path):
    file = tmp_path / "boot-initrd"
    file.write_bytes(initrd_image(VERSION, FILL, compression=form))
    assert read_initrd(file) == Initrd(
        archives=1, compressions=(form,), members=7, kernels=frozenset({VERSION})
    )


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("padding", [0, 4, 512, 300_000])
def test_microcode_may_come_first_and_zeros_between(form, padding):
    early = cpio({"kernel/x86/microcode/GenuineIntel.bin": FILL}) + bytes(padding)
    found = read(early + initrd_image(VERSION, FILL, compression=form) + bytes(padding))
    assert found.compressions == ("", form)
    assert (found.archives, found.members, found.kernels) == (2, 11, {VERSION})


def test_every_compression_in_one():
    archives = [
        initrd_image(f"6.{number}", FILL, compression=form) for number, form in enumerate(FORMATS)
    ]
    found = read(bytes(512).join(archives))
    assert found.compressions == tuple(FORMATS)
    assert found.kernels == {f"6.{number}" for number in range(len(FORMATS))}


def test_several_archives_in_one_compressed_stream():
    first, second = cpio({"a": b"1"}), cpio({"usr/lib/modules/6.1/x": b"2"})
    assert read(packed(first + bytes(512) + second, "zstd")).compressions == ("zstd", "zstd")
    halves = packed(first, "gzip") + packed(second, "gzip")
    assert read(halves).compressions == ("gzip", "gzip")


@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        ("lib/modules/6.1.0-9/kernel/x.ko", {"6.1.0-9"}),
        ("./usr/lib/modules/6.1.0-9/kernel/x.ko", {"6.1.0-9"}),
        ("lib/modules/6.1.0-9", {"6.1.0-9"}),
        ("opt/lib/modules/6.1.0-9/x", set()),
        ("lib/modules", set()),
        ("lib/modules-load.d/x", set()),
    ],
)
def test_kernels_are_below_lib_modules(name, kernels):
    assert read(cpio({name: b""})).kernels == kernels


def test_checksums_are_looked_at():
    archive = cpio({"big": noise("b", 200_000) + b"\xff" * 100_000, "empty": b""}, checksums=True)
    assert read(archive).members == 2
    bad = bytearray(archive)
    bad[1000] ^= 1
    with pytest.raises(FormatError, match=r"^is damaged: the checksum of member 1 is wrong"):
        read(bytes(bad))


def test_only_files_have_checksums():
    archive = bytearray(cpio({"etc/link": b"target"}, checksums=True))
    at = archive.index(b"etc/link") - 110
    archive[at + 14 : at + 22] = b"0000A1FF"
    archive[at + 102 : at + 110] = b"00000000"
    assert read(bytes(archive)).members == 2


def test_a_name_may_be_filled_up_with_zeros():
    name = "lib/modules/6.1.0-9"
    filled = cpio({name + "\0" * 500: b"x" * 5000})
    assert read(filled) == Initrd(1, ("",), 3, frozenset({"6.1.0-9"}))


def test_parameters_may_come_last():
    data = initrd_image(VERSION, FILL)
    config = b"kernel { quiet }\n" + bytes(8) + b"#BOOTCONFIG\n"
    assert read(data + bytes(3) + config) == read(data)
    assert read(data + b"x" * 300_000 + config) == read(data)
    with pytest.raises(FormatError, match=f"at byte {len(data)}, behind archive 1"):
        read(data + config + b"x")
    with pytest.raises(FormatError, match=r"^is no initrd"):
        read(config)


def test_what_is_packed_with_lzo_is_not_looked_at():
    lzo = b"\x89LZO\0\r\n\x1a\n" + FILL
    assert read(lzo) == Initrd(0, (), 0, frozenset(), "lzo")
    early = cpio({"kernel/x86/microcode/GenuineIntel.bin": FILL})
    assert read(early + lzo) == Initrd(1, ("",), 4, frozenset(), "lzo")


def test_an_initrd_for_u_boot():
    head = b"\x27\x05\x19\x56".ljust(30, b"x") + b"\3" + bytes(33)
    data = initrd_image(VERSION, FILL, compression="gzip")
    assert read(head + data) == read(data)
    with pytest.raises(FormatError, match=r"^is no initrd: it is another image of U-Boot"):
        read(head.replace(b"\3", b"\2") + data)


@pytest.mark.parametrize("form", FORMATS)
def test_a_cut_anywhere_is_found(form):
    data = initrd_image(VERSION, FILL[:50], compression=form, microcode=True)
    whole = len(data) - (0 if form else 3)  # what is behind the name of the trailer is padding
    for size in range(whole):
        if size % 512 and not data[:size].strip(b"\0").endswith(b"TRAILER!!!"):
            with pytest.raises(FormatError, match=r"^(is|has|holds) "):
                read(data[:size])


def test_a_cut_says_where():
    data = initrd_image(VERSION, FILL, compression="zstd", microcode=True)
    with pytest.raises(FormatError, match=r"^is cut: its zstd data does not end \(archive 2\)$"):
        read(data[:-100])
    plain = initrd_image(VERSION, FILL, compression="")
    with pytest.raises(FormatError, match=r"^is cut: it ends in member 7 \(archive 1\)$"):
        read(plain[:-200])


def test_a_trailer_that_is_missing():
    archive = cpio({"a": b"1", "b": b"2"})
    without = archive[: archive.index(b"070701", archive.index(b"b\0"))]
    for data in (without, packed(without, "zstd")):
        with pytest.raises(FormatError, match=r"^is cut: it ends in member 3 \(archive 1\)$"):
            read(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (bytes(20_000), "is only zeros"),
        (b"<html>Log in</html>", "is a web page"),
        (b"text " * 1000, "is no initrd: it begins with neither a cpio archive"),
        (artefacts.kernel("k", 9000), "is no initrd: it begins with neither"),
        (artefacts.squashfs("k", 9000), "is no initrd: it begins with neither"),
        (artefacts.tar({"a": b"1"}), "is no initrd: it begins with neither"),
        (artefacts.root_tgz("r", 20_000), "holds no cpio archive in its gzip data"),
        (packed(b"", "gzip"), "holds no cpio archive in its gzip data"),
        (packed(bytes(5000), "zstd"), "holds no cpio archive in its zstd data"),
        (cpio({"a": b"1"}) + b"<html>", "has neither a cpio archive nor compressed data at byte"),
    ],
)
def test_other_files_are_no_initrds(data, says):
    with pytest.raises(FormatError, match=f"^{says}"):
        read(data)


@pytest.mark.parametrize(
    ("at", "change", "says"),
    [
        (0, b"0707", "is no initrd"),
        (5, b"7", "is no initrd"),
        (6, b"0x", "is damaged: member 1 has a header with no numbers"),
        (54, b"FFFFFFFF", "is cut: it ends in member 1"),
        (94, b"00000001", "is damaged: member 1 has a name of 1 bytes"),
        (94, b"00001001", "is damaged: member 1 has a name of 4097 bytes"),
        (94, b"00000003", "is damaged: the name of member 1 does not end"),
        (54, b"00000008", "is damaged: member 2 has no cpio header"),
    ],
)
def test_headers_that_can_not_be(at, change, says):
    data = bytearray(cpio({"file": b"1"}))
    data[at : at + len(change)] = change if at else b"070707"
    with pytest.raises(FormatError, match=f"^{says}"):
        read(bytes(data))


def test_old_cpio_formats_are_no_initrd():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w"):
        pass
    for data in (b"070707" + b"0" * 100, b"\xc7\x71" + bytes(100) + b"x", out.getvalue() + b"x"):
        with pytest.raises(FormatError):
            read(data)


def test_a_bomb_is_stopped(monkeypatch):
    monkeypatch.setattr(initrd, "LIMIT", 20 * MIB)
    bomb = packed(cpio({"a": bytes(15 * MIB)}), "zstd")
    assert read(bomb).members == 1
    two = bomb + packed(cpio({"b": bytes(15 * MIB)}), "gzip")
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=r"^expands to more than 20 MiB \(archive 2\)$"):
            read(two)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * MIB


def test_more_than_an_initrd_ever_has_is_refused():
    with pytest.raises(FormatError, match=r"^has modules for more than 100 kernels"):
        read(cpio({f"lib/modules/{number}/x": b"" for number in range(101)}))
    with pytest.raises(FormatError, match=r"^holds more than 1000 archives"):
        read(cpio({}) * 1001)


@settings(max_examples=80, deadline=2000)
@given(st.data())
@pytest.mark.parametrize("form", FORMATS)
def test_damage_never_raises_anything_else(form, data):
    assert only_refused(
        read,
        data.draw(damaged(initrd_image(VERSION, FILL[:400], compression=form, microcode=True))),
    )


def test_the_kits_kernel_and_initrd_agree():
    made = read(artefacts.initrd("s", 4000, version=VERSION))
    assert made.kernels == {VERSION}
    assert kernels.kernel_image("amd64", VERSION, FILL).find(VERSION.encode()) > 0
