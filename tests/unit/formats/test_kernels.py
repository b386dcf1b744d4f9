from __future__ import annotations

import io
import struct

import pytest
from format_damage import damaged, only_refused
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.formats import (
    FormatError,
    KernelImage,
    check_content,
    kernel,
    read_kernel,
    read_kernel_stream,
)
from mirror.testing import artefacts, kernels
from mirror.testing.artefacts import noise

VERSION = "6.8.0-64-generic"
FILL = noise("kernel", 6000)
FORMS = {
    "amd64": "bzImage",
    "arm64": "arm64 Image",
    "armhf": "zImage",
    "i386": "bzImage",
    "ppc64": "ELF",
    "ppc64el": "ELF",
    "riscv64": "riscv Image",
    "s390x": "s390 Image",
}
ZBOOT = {
    f"zboot-{form}": kernels.zboot(
        kernels.arm64_image(VERSION, FILL), arch="arm64", compression=form
    )
    for form in ("gzip", "lz4-legacy", "lzma", "xz", "zstd")
}
IMAGES = {arch: kernels.kernel_image(arch, VERSION, FILL) for arch in FORMS}
PACKED = {
    f"packed-{form}": kernels.packed(IMAGES["arm64"], form)
    for form in ("gzip", "xz", "zstd", "lz4-legacy")
}


def read(data: bytes) -> KernelImage:
    return read_kernel_stream(io.BytesIO(data))


@pytest.mark.parametrize("arch", FORMS)
def test_a_kernel_is_known_by_its_header(arch, tmp_path):
    file = tmp_path / "boot-kernel"
    file.write_bytes(IMAGES[arch])
    assert read_kernel(file) == KernelImage(arch, FORMS[arch], VERSION)


@pytest.mark.parametrize("arch", FORMS)
@pytest.mark.parametrize("version", ["5.4.0-1-x", "6.12.107+deb12-cloud-arm64"])
def test_the_version_is_the_one_that_was_built(arch, version):
    assert read(kernels.kernel_image(arch, version, FILL)).version == version


@pytest.mark.parametrize("arch", FORMS)
def test_the_kits_kernels_are_of_their_architecture(arch):
    kernel = read(artefacts.kernel("s", 10_000, arch=arch, version="6.1.0-9"))
    assert (kernel.arch, kernel.version) == (arch, "6.1.0-9")


@pytest.mark.parametrize("form", ["gzip", "xz", "zstd", "lz4-legacy"])
def test_a_compressed_image_is_looked_into(form):
    assert read(PACKED[f"packed-{form}"]) == KernelImage("arm64", "arm64 Image", VERSION, form)


@pytest.mark.parametrize("name", ZBOOT)
def test_the_payload_of_zboot_names_the_version_unless_that_costs_too_much(name):
    version = "" if name in {"zboot-xz", "zboot-lzma"} else VERSION
    assert read(ZBOOT[name]) == KernelImage("arm64", "EFI zboot", version)


def test_zboot_is_for_the_machine_of_its_efi_header():
    image = kernels.zboot(kernels.riscv_image(VERSION, FILL), arch="riscv64")
    assert read(image) == KernelImage("riscv64", "EFI zboot", VERSION)


@pytest.mark.parametrize("arch", ["amd64", "i386"])
@pytest.mark.parametrize("protocol", [0x0208, 0x020A, 0x020C])
def test_an_old_kernel_for_pcs_is_known_by_what_is_packed_in_it(arch, protocol):
    image = kernels.bzimage("2.6.32-754.el6", FILL, arch=arch, protocol=protocol)
    assert read(image) == KernelImage(arch, "bzImage", "2.6.32-754.el6")


@pytest.mark.parametrize("name", [*IMAGES, *ZBOOT, *PACKED])
@pytest.mark.parametrize("part", [0.5, 0.9, -1])
def test_a_cut_is_found(name, part):
    image = {**IMAGES, **ZBOOT, **PACKED}[name]
    size = len(image) - 1 if part == -1 else int(len(image) * part)
    with pytest.raises(FormatError, match=r"^is (cut|damaged|no kernel)"):
        read(image[:size])


def test_a_cut_says_how_much_is_missing():
    image = IMAGES["amd64"]
    with pytest.raises(FormatError, match=f"^is cut: 5000 bytes of {len(image)}$"):
        read(image[:5000])


def test_a_cut_through_a_signature_is_found():
    image = bytearray(IMAGES["arm64"])
    directories = 0x40 + 24 + 112
    struct.pack_into("<II", image, directories + 32, len(image), 1000)
    signed = bytes(image) + bytes(1000)
    assert read(signed).version == VERSION
    with pytest.raises(FormatError, match=f"^is cut: {len(image) + 10} bytes of {len(signed)}$"):
        read(signed[: len(image) + 10])


def test_a_signature_behind_a_kernel_for_s390x_is_no_damage():
    assert read(IMAGES["s390x"] + noise("signature", 900)).arch == "s390x"


def test_a_kernel_for_s390x_of_which_we_know_nothing_yet_need_not_have_a_mark_at_its_end():
    image = kernels.s390_image("7.2.0-9-generic", FILL)
    assert read(image[:-32]).version == "7.2.0-9-generic"


def test_an_older_kernel_for_s390x_has_no_mark_at_its_end():
    image = kernels.s390_image("5.15.0-1-generic", FILL)
    assert read(image[:-32] + b"\xff" * 32).version == "5.15.0-1-generic"


def test_the_oldest_for_s390x_say_their_version_only_in_what_is_packed():
    image = bytearray(kernels.s390_image("4.15.0-1-generic", FILL))
    struct.pack_into(">Q", image, 0x10428, 0)
    assert read(bytes(image)) == KernelImage("s390x", "s390 Image", "4.15.0-1-generic")
    with pytest.raises(FormatError, match=r"^is cut: its gzip data"):
        read(bytes(image[:-7000]))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (bytes(70_000), "begins with zeros and nothing else"),
        (b"<!DOCTYPE html><title>Log in</title>", "is a web page"),
        (b"\r\n <HTML><body>Log in", "is a web page"),
        (b"\xef\xbb\xbf<html>", "is a web page"),
        ("\ufeff<html>".encode("utf-16-le"), "is a web page"),
        (b'<?xml version="1.0"?><html xmlns="x">', "is a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "is an XML document"),
    ],
)
def test_what_is_certainly_no_image(data, says, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(data)
    for look in (check_content, read_kernel):
        with pytest.raises(FormatError, match=f"^{says}$"):
            look(file)


@pytest.mark.parametrize(
    "data",
    [
        b"some text\n" * 1000,
        noise("other", 100_000),
        artefacts.initrd("i", 5000),
        artefacts.initrd("i", 5000, compression="gzip"),
        artefacts.squashfs("s", 5000),
        artefacts.root_tgz("r", 20_000),
        artefacts.efi_binary("e", 5000),
        IMAGES["amd64"][:600],
    ],
)
def test_other_files_are_no_kernels(data):
    with pytest.raises(FormatError, match=r"^is no kernel"):
        read(data)


def test_a_program_is_no_kernel():
    program = bytearray(kernels.elf("riscv64", FILL))
    struct.pack_into("<I", program, 64, 3)
    with pytest.raises(FormatError, match=r"^is no kernel: it is a program$"):
        read(bytes(program))


def test_old_kernels_of_power_look_like_programs():
    wrapped = bytearray(IMAGES["ppc64el"])
    struct.pack_into("<I", wrapped, 64, 3)
    assert read(bytes(wrapped)).arch == "ppc64el"


def efi_stub(inner: bytes, section: bytes = b".linux") -> bytes:
    """Return an EFI program with a section of its own for the kernel that it starts."""
    stub = bytearray(artefacts.efi_binary("stub", 5000, arch="arm64"))
    table = stub.index(b".text")
    stub[table + 40 : table + 80] = struct.pack(
        "<8sIIIIIIHHI", section, len(inner), 0x9000, len(inner), len(stub), 0, 0, 0, 0, 0
    )
    struct.pack_into("<H", stub, artefacts.PE_AT + 6, 2)
    return bytes(stub) + inner


@pytest.mark.parametrize(
    ("inner", "version"),
    [
        (IMAGES["arm64"], VERSION),
        (PACKED["packed-gzip"], VERSION),
        (ZBOOT["zboot-gzip"], ""),
        (PACKED["packed-xz"], ""),
    ],
)
@pytest.mark.parametrize("form", ["", "gzip"])
def test_a_stub_with_the_kernel_as_a_section(inner, version, form):
    packed = kernels.packed(efi_stub(inner), form)
    assert read(packed) == KernelImage("arm64", "EFI stub", version, form)
    with pytest.raises(FormatError, match=r"^is cut"):
        read(efi_stub(inner)[:-1])


def test_an_efi_program_is_no_kernel():
    with pytest.raises(FormatError, match=r"^is no kernel of any kind"):
        read(efi_stub(IMAGES["arm64"], b".other"))


def uimage(kind: int, content: bytes) -> bytes:
    return b"\x27\x05\x19\x56".ljust(30, b"x") + bytes([kind]) + bytes(33) + content


def test_a_kernel_for_u_boot():
    assert read(uimage(2, IMAGES["armhf"])) == read(IMAGES["armhf"])
    assert read(uimage(2, PACKED["packed-gzip"])) == read(PACKED["packed-gzip"])
    with pytest.raises(FormatError, match=r"^is no kernel: it is another image of U-Boot"):
        read(uimage(3, IMAGES["armhf"]))


def test_a_kernel_of_any_size_is_not_read(monkeypatch):
    monkeypatch.setattr(kernel, "LIMIT", 1 << 20)
    with pytest.raises(FormatError, match=r"^expands to more than 1 MiB"):
        read(IMAGES["arm64"] + bytes(1 << 20))


def test_an_elf_file_without_segments_is_no_kernel():
    elf = bytearray(IMAGES["ppc64el"])
    struct.pack_into("<H", elf, 56, 0)
    with pytest.raises(FormatError, match=r"^is no kernel: an ELF file with nothing to load$"):
        read(bytes(elf))


def test_a_zimage_that_ends_before_it_starts():
    image = bytearray(IMAGES["armhf"])
    struct.pack_into("<II", image, 0x28, 9000, 10)
    with pytest.raises(FormatError, match=r"^is damaged: its zImage ends at 10"):
        read(bytes(image))


def test_a_banner_is_found_wherever_the_chunks_end():
    fill = noise("much", 140_000)
    for at in range(131_072 - 60, 131_072, 7):
        image = bytearray(kernels.arm64_image("6.8", fill))
        image[4096 : 4096 + 40] = bytes(40)
        banner = kernels.banner(VERSION)
        image[at : at + len(banner)] = banner
        assert read(bytes(image)).version == VERSION


def test_a_kernel_that_does_not_say_its_version():
    image = bytearray(IMAGES["amd64"])
    struct.pack_into("<H", image, 0x20E, 0)
    assert read(bytes(image)) == KernelImage("amd64", "bzImage", "")


@settings(max_examples=80, deadline=2000)
@given(st.data())
@pytest.mark.parametrize("name", [*IMAGES, *ZBOOT, "packed-gzip"])
def test_damage_never_raises_anything_else(name, data):
    assert only_refused(read, data.draw(damaged({**IMAGES, **ZBOOT, **PACKED}[name])))
