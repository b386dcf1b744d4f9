"""EFI binaries: what their headers say, and what is no signature."""

from __future__ import annotations

import io
import struct

import pytest

from mirror.formats import FormatError
from mirror.formats.pe import EfiBinary, read_efi
from mirror.testing import artefacts, spoil

AT = artefacts.PE_AT
SUBSYSTEM_AT = AT + 24 + 68
TABLE_AT = AT + 24 + 112 + 4 * 8
"""Where a PE32+ header of the kit says where its signatures are."""


class Forward:
    """A stream that can only be read on, in short pieces, as that of an archive's member."""

    def __init__(self, data: bytes) -> None:
        self._left = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._left.read(min(size, 1000))


def read(data: bytes) -> EfiBinary:
    return read_efi(Forward(data), len(data))


def patched(data: bytes, at: int, form: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, at, *values)
    return bytes(changed)


def signed(size: int = 4000) -> tuple[bytes, int]:
    """Return a signed binary, and where its table of signatures is."""
    data = artefacts.efi_binary("s", size, signed=True)
    return data, struct.unpack_from("<I", data, TABLE_AT)[0]


@pytest.mark.parametrize("arch", artefacts.PE_MACHINES)
@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("size", [1000, 300_000])
def test_an_application_of_every_architecture(arch, is_signed, size):
    data = artefacts.efi_binary("s", size, arch=arch, signed=is_signed)
    assert read(data) == EfiBinary(arch, "application", is_signed)


def test_what_the_file_is_followed_by_is_not_read():
    data, _ = signed()
    stream = io.BytesIO(data + b"the next member")
    assert read_efi(stream, len(data)).signed
    assert stream.read() == b"the next member"


@pytest.mark.parametrize(("number", "name"), [(11, "boot service driver"), (12, "runtime driver")])
def test_drivers(number, name):
    data = patched(artefacts.efi_binary("s", 1000), SUBSYSTEM_AT, "<H", number)
    assert read(data).subsystem == name


def test_an_architecture_that_has_no_name():
    data = patched(artefacts.efi_binary("s", 1000), AT + 4, "<H", 0x1234)
    assert read(data).arch == "machine 0x1234"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (bytes(5000), "zeros"),
        (spoil.web_page(), "is a web page"),
        (artefacts.noise("n", 5000), "is no EFI binary"),
        (b"MZ".ljust(5000, b"x"), "no PE header"),
        (patched(artefacts.efi_binary("s", 1000), SUBSYSTEM_AT, "<H", 3), "program of Windows"),
        (patched(artefacts.efi_binary("s", 1000), AT + 24, "<H", 0x107), "kind 0x107"),
        (patched(artefacts.efi_binary("s", 1000), AT + 6, "<H", 60_000), "cut: it ends in its"),
        (patched(artefacts.efi_binary("s", 90_000), AT + 6, "<H", 60_000), "headers go beyond"),
        (patched(signed()[0], TABLE_AT + 4, "<I", 2**32 - 1), "is cut"),
        (patched(artefacts.efi_binary("s", 5 << 20), TABLE_AT, "<II", 512, 5 << 20), "is cut"),
        (
            patched(artefacts.efi_binary("s", 6 << 20), TABLE_AT, "<II", 512, 5 << 20),
            "bytes of signatures",
        ),
    ],
)
def test_what_is_none(data, said):
    with pytest.raises(FormatError, match=said):
        read(data)


def test_cut_anywhere():
    data, _ = signed()
    for length in [*range(0, 800, 7), *range(800, len(data), 97), len(data) - 1]:
        with pytest.raises(FormatError):
            read(data[:length])


def test_a_stream_that_ends_before_its_size():
    data = artefacts.efi_binary("s", 4000)
    with pytest.raises(FormatError, match="is cut"):
        read_efi(Forward(data[:-100]), len(data))


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [
        (0, "<I", 0),  # no length
        (0, "<I", 100_000),  # longer than the table
        (0, "<I", 600),  # what follows is no certificate
        (4, "<H", 0x0300),  # no revision
        (6, "<H", 1),  # X.509, which no firmware takes
        (8, "<B", 0x31),  # no sequence
        (9, "<B", 0x85),  # a length of five bytes
        (10, ">H", 60_000),  # a sequence that does not fit
        (12, "<B", 5),  # not an object identifier
        (20, "<B", 0),  # that of something else
    ],
)
def test_a_table_that_is_no_signature(offset, form, value):
    data, table = signed()
    assert read(data).signed
    assert not read(patched(data, table + offset, form, value)).signed


def test_a_table_of_zeros_is_no_signature():
    data, table = signed()
    assert not read(data[:table] + bytes(len(data) - table)).signed


def test_signatures_that_firmware_takes_as_well():
    data, table = signed()
    longer = patched(data + bytes(16), TABLE_AT + 4, "<I", len(data) - table + 16)
    assert read(longer).signed
    naked = bytearray(data)
    naked[table + 12 : table + 15] = b"\x02\x01\x01"
    assert read(bytes(naked)).signed
    assert read(patched(data, table + 6, "<H", 0x0EF1)).signed


def test_two_signatures():
    data, table = signed()
    both = patched(data + data[table:], TABLE_AT + 4, "<I", 2 * (len(data) - table))
    assert read(both).signed
    # the second one is damaged
    assert not read(patched(both, len(data), "<I", 1)).signed


def test_noise_in_the_headers_is_read_or_refused():
    data, _ = signed()
    refused = 0
    for number in range(300):
        noise = artefacts.noise(f"n{number}", 24)
        at = AT + number
        try:
            read(data[:at] + noise + data[at + 24 :])
        except FormatError:
            refused += 1
    assert 100 < refused < 300
