"""Small disks with the structure of an installed ESXi: its partitions, its boot banks, its hooks.

Nothing of VMware's is in them; the modules are noise. `Esxi` describes a good one of 8.0, as
packer-maas builds it, and a test makes it bad where it likes.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
import tempfile
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from disk_builder import ESP, MIB, MICROSOFT_DATA, fat, plant, put, run

from mirror.testing import artefacts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GIB = 1024**3
VMFS_L = "4EB2EA39-7855-4790-A79E-FAE495E21F8D"
DUMPS = "9D275380-40AD-11DB-BF97-000C2911D1B8"
VMFS = "AA31E02A-400F-11DB-9590-000C2911D1B8"

LOADER = artefacts.efi_binary("safeboot64", 60_000, signed=True)
HOOKS = """#!/usr/bin/env python3
import os
import subprocess

HERE = os.path.dirname(__file__)
subprocess.check_call(["tar", "xJf", os.path.join(HERE, "scripts.tar.xz"), "-C", "/tmp"])
"""
SCRIPTS = ("netplan-esxi", "storage-esxi", "maas-md-get", "vcenter", "vendor-data-esxi")
MODULES = ("jumpstrt.gz", "useropts.gz", "k.b00", "vmx.v00", "vim.v00", "s.v00", "state.tgz")

BLANK = {
    "bootstate": "3",
    "title": "Loading VMware ESXi",
    "timeout": "5",
    "prefix": "",
    "kernel": "",
    "kernelopt": "",
    "modules": "",
    "build": "",
    "updated": "0",
}


def tgz(files: Mapping[str, bytes]) -> bytes:
    return gzip.compress(tar(files), mtime=0)


def tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def scripts(names: tuple[str, ...] = SCRIPTS) -> bytes:
    return lzma.compress(tar({f"./maas/{name}": b"#!/bin/sh\n" for name in names}))


def settings(build: str = "8.0.3-0.24.24022510") -> dict[str, str]:
    return BLANK | {
        "bootstate": "0",
        "kernel": "b.b00",
        "kernelopt": "installerDiskDumpSlotSize=2560",
        "modules": " --- ".join(MODULES),
        "build": build,
        "updated": "1",
    }


def bank(config: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """Return the files of a bank; a blank one, without settings."""
    if config is None:
        return {"boot.cfg": text(BLANK)}
    files = {name: artefacts.noise(name, 9000) for name in ("b.b00", *MODULES)}
    files["state.tgz"] = tgz({"local.tgz": tgz({"etc/vmware/esx.conf": b"/system/uuid = 1\n"})})
    return files | {"boot.cfg": text(config)}


def text(config: Mapping[str, str]) -> bytes:
    return "".join(f"{key}={value}\n" for key, value in config.items()).encode()


def esp() -> dict[str, bytes]:
    return {
        "EFI/BOOT/BOOTX64.EFI": LOADER,
        "EFI/VMware/safeboot64.efi": LOADER,
        "EFI/VMware/mboot64.efi": artefacts.efi_binary("mboot64", 60_000, signed=True),
        "curtin/curtin-hooks": HOOKS.encode(),
        "curtin/scripts.tar.xz": scripts(),
    }


@dataclass
class Esxi:
    """What is on the disk: files of the FATs by partition, kinds by partition, its size."""

    files: dict[int, dict[str, bytes]] = field(
        default_factory=lambda: {1: esp(), 5: bank(settings()), 6: bank()}
    )
    kinds: dict[int, str] = field(
        default_factory=lambda: {
            1: ESP,
            5: MICROSOFT_DATA,
            6: MICROSOFT_DATA,
            7: VMFS_L,
            8: VMFS,
        }
    )
    size: int = 32 * GIB
    boot_code: bool = True

    def write(self, folder: Path) -> Path:
        """Make the disk: 1 from sector 64 on, and the others behind it, as the installer does."""
        disk = folder / "esxi.img"
        places, at = {}, 64 * 512
        for number in self.kinds:
            size = {1: 4 * MIB, 5: 10 * MIB, 6: 10 * MIB}.get(number, 2 * MIB)
            places[number] = (at, size)
            at += size + 32 * 512
        with disk.open("wb") as opened:
            opened.truncate(self.size)
            layout = tuple((number, kind, *places[number]) for number, kind in self.kinds.items())
            head, tail = table(layout, self.size)
            opened.write(head)
            opened.seek(-len(tail), os.SEEK_END)
            opened.write(tail)
            if self.boot_code:
                opened.seek(0)
                opened.write(b"\xfa\x31\xc0")
        for number in self.files.keys() & places.keys():
            start, size = places[number]
            tree = plant(folder / f"tree{number}", self.files[number])
            label = {1: "BOOT", 5: "BOOTBANK1", 6: "BOOTBANK2"}[number]
            bits = 12 if number == 1 else 16
            put(disk, fat(folder / f"part{number}", tree, size, bits=bits, label=label), start)
        return disk


@cache
def table(layout: tuple[tuple[int, str, int, int], ...], size: int) -> tuple[bytes, bytes]:
    """Return the first and the last sectors of a disk that sgdisk has partitioned.

    It takes two seconds, whatever the disk: each layout is made once.
    """
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(size)
        # A new table has an alignment of its own: it comes first.
        words: list[object] = ["sgdisk", "-o", "-a", "1"]
        for number, kind, start, length in layout:
            words += ["-n", f"{number}:{start // 512}:{(start + length) // 512 - 1}"]
            words += ["-t", f"{number}:{kind}"]
        run(*words, file.name)
        head = os.pread(file.fileno(), 34 * 512, 0)
        return head, os.pread(file.fileno(), 33 * 512, size - 33 * 512)
