"""Sample disks, and the forms that they can have: made with qemu-img, and compressed."""

from __future__ import annotations

import io
import json
import os
import tarfile
from typing import TYPE_CHECKING

from disk_builder import run

from mirror.testing.artefacts import noise
from mirror.testing.kernels import packed

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024**2

FORMS = {
    "qcow2": ("qcow2", []),
    "qcow2-v2": ("qcow2", ["-o", "compat=0.10"]),
    "qcow2-512": ("qcow2", ["-o", "cluster_size=512"]),
    "qcow2-4k": ("qcow2", ["-o", "cluster_size=4k"]),
    "qcow2-2m": ("qcow2", ["-o", "cluster_size=2M"]),
    "qcow2-zlib": ("qcow2", ["-c"]),
    "qcow2-zlib-v2": ("qcow2", ["-c", "-o", "compat=0.10"]),
    "qcow2-zlib-512": ("qcow2", ["-c", "-o", "cluster_size=512"]),
    "qcow2-zlib-2m": ("qcow2", ["-c", "-o", "cluster_size=2M"]),
    "qcow2-zstd": ("qcow2", ["-c", "-o", "compression_type=zstd"]),
    "qcow2-zstd-4k": ("qcow2", ["-c", "-o", "compression_type=zstd,cluster_size=4k"]),
    "qcow2-full": ("qcow2", ["-o", "preallocation=falloc"]),
    "vhd": ("vpc", ["-o", "force_size=on"]),
    "vhd-fixed": ("vpc", ["-o", "subformat=fixed,force_size=on"]),
    "vhdx": ("vhdx", []),
    "vhdx-fixed": ("vhdx", ["-o", "subformat=fixed"]),
    "vhdx-1m": ("vhdx", ["-o", "block_size=1M"]),
}
"""What qemu-img calls the form, and the options that it gets."""


def raw_disk(file: Path, size: int = 24 * MIB) -> Path:
    """Make a disk with an MBR, and data here and there: some of it compresses, some not.

    A piece goes over borders of clusters, one begins within a sector, and one is at the very end.
    """
    pieces = {
        0: bytes(440) + b"\x78\x56\x34\x12\0\0" + _partition() + bytes(48) + b"\x55\xaa",
        MIB - 3000: noise("border", 10_000),
        2 * MIB + 100: noise("noise", 300_000),
        4 * MIB: b"what compresses well, " * 40_000,
        9 * MIB + 65_536: noise("one cluster", 65_536),
        17 * MIB: b"\1" * 1000,
        size - 1000: noise("end", 1000),
    }
    with file.open("wb") as stream:
        stream.truncate(size)
        for at, data in pieces.items():
            stream.seek(at)
            stream.write(data)
    return file


def _partition() -> bytes:
    start, sectors = (2048).to_bytes(4, "little"), (4096).to_bytes(4, "little")
    return b"\x80\0\2\0\x83\0\3\0" + start + sectors


def convert(raw: Path, made: Path, form: str) -> Path:
    """Make a file of one of the `FORMS` of a raw disk."""
    name, options = FORMS[form]
    run("qemu-img", "convert", "-f", "raw", "-O", name, *options, raw, made)
    return made


def data_of(file: Path, form: str) -> list[tuple[int, int]]:
    """Return where a disk has data as `qemu-img map` says, as (start, end) in bytes, joined."""
    told = json.loads(run("qemu-img", "map", "--output=json", "-f", form, file))
    found: list[tuple[int, int]] = []
    for each in told:
        if each["zero"] or not each["data"]:
            continue
        start, end = each["start"], each["start"] + each["length"]
        if found and found[-1][1] == start:
            start = found.pop()[0]
        found.append((start, end))
    return found


def compress(file: Path, made: Path, form: str) -> Path:
    """Compress a file with `gzip`, `xz`, `bzip2` or `zstd`, as their programs do."""
    if form == "zstd":
        run("zstd", "-q", "-f", "-3", file, "-o", made)  # with a checksum
    else:
        made.write_bytes(packed(file.read_bytes(), form))
    return made


def tar_of(made: Path, *files: Path, form: str = "", holes: bool = False) -> Path:
    """Pack files into a tar, which is compressed if `form` is named; with GNU tar for `holes`."""
    if holes:
        run("tar", "-S", "-cf", made, "-C", files[0].parent, *(each.name for each in files))
    else:
        with tarfile.open(made, "w") as archive:
            for each in files:
                archive.add(each, each.name)
    if form:
        plain = made.rename(made.with_suffix(".tar"))
        compress(plain, made, form)
        plain.unlink()
    return made


def qcow2_chain(made: Path, backing: Path) -> Path:
    """Make a qcow2 that holds what differs from another one."""
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, made)
    return made


def patched(file: Path, made: Path, at: int, data: bytes) -> Path:
    """Copy a file, with other bytes at a place."""
    content = io.BytesIO(file.read_bytes())
    content.seek(at)
    content.write(data)
    made.write_bytes(content.getvalue())
    return made


def cut(file: Path, made: Path, size: int) -> Path:
    """Copy the first `size` bytes of a file."""
    made.write_bytes(file.read_bytes())
    os.truncate(made, size)
    return made
