"""ELF headers: programs, libraries, and the kernels of some architectures."""

from __future__ import annotations

import struct

MACHINES = {
    3: "i386",
    40: "armhf",
    62: "amd64",
    183: "arm64",
    258: "loong64",
}
"""What the number of a machine is to Debian, where its word and byte order say no more."""

BY_CLASS_AND_ORDER = {
    (20, 32, "big"): "powerpc",
    (21, 64, "big"): "ppc64",
    (21, 64, "little"): "ppc64el",
    (22, 32, "big"): "s390",
    (22, 64, "big"): "s390x",
    (62, 32, "little"): "x32",
    (183, 64, "big"): "arm64be",
    (243, 32, "little"): "riscv32",
    (243, 64, "little"): "riscv64",
}


def elf_arch(head: bytes) -> str:
    """Return Debian's name of the architecture that an ELF file is for.

    `head` is its first 20 bytes or more. '' where it is no ELF file; `machine N` where Debian has
    no name for it.
    """
    if len(head) < 20 or not head.startswith(b"\x7fELF"):
        return ""
    word, order = {1: 32, 2: 64}.get(head[4]), {1: "little", 2: "big"}.get(head[5])
    if word is None or order is None:
        return ""
    (machine,) = struct.unpack_from("<H" if order == "little" else ">H", head, 18)
    special = BY_CLASS_AND_ORDER.get((machine, word, order))
    return special or MACHINES.get(machine, f"machine {machine}")
