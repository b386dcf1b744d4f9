from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.formats import elf_arch
from mirror.testing.kernels import ELF_MACHINES, elf


@pytest.mark.parametrize("arch", ELF_MACHINES)
def test_machine_word_and_byte_order_are_an_architecture(arch):
    assert elf_arch(elf(arch, b"")[:20]) == arch


def header(word: int, order: int, machine: int) -> bytes:
    return (
        b"\x7fELF"
        + bytes([word, order, 1])
        + bytes(9)
        + struct.pack("<HH" if order == 1 else ">HH", 2, machine)
    )


@pytest.mark.parametrize(
    ("word", "order", "machine", "arch"),
    [
        (1, 2, 20, "powerpc"),
        (1, 2, 22, "s390"),
        (1, 1, 62, "x32"),
        (1, 1, 243, "riscv32"),
        (2, 1, 258, "loong64"),
        (2, 2, 43, "machine 43"),
    ],
)
def test_others_have_names_too(word, order, machine, arch):
    assert elf_arch(header(word, order, machine)) == arch


@pytest.mark.parametrize(
    "head",
    [b"", b"\x7fELF", header(2, 1, 62)[:19], header(3, 1, 62), header(2, 0, 62), b"MZ" + bytes(40)],
)
def test_what_is_no_elf_file_has_no_architecture(head):
    assert elf_arch(head) == ""


def test_a_real_program():
    with Path(sys.executable).open("rb") as program:
        head = program.read(64)
    assert elf_arch(head) in ELF_MACHINES


@given(st.binary(max_size=64))
def test_any_bytes_are_taken(head):
    assert isinstance(elf_arch(b"\x7fELF" + head), str)
