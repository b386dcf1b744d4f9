"""Disks with a Windows on them, as far as it is looked at: NTFS by mkntfs and wimlib, own hives."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from disk_builder import (
    ESP,
    MIB,
    MICROSOFT_DATA,
    MICROSOFT_RESERVED,
    Slice,
    fat,
    gpt,
    ntfs,
    plant,
    run,
)

from mirror.testing import artefacts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Key = dict[str, Any]
"""Keys by name; a value is a text or a number in the place of a dict."""

GENERALISED = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"
CLOUDBASE = "Program Files/Cloudbase Solutions/Cloudbase-Init"
CONFIG = f"{CLOUDBASE}/conf/cloudbase-init.conf"
MAAS_SERVICE = "cloudbaseinit.metadata.services.maasservice.MaaSHttpService"


def software(**changes: str) -> Key:
    """Return a SOFTWARE hive's keys, of a generalised Windows Server 2022."""
    facts = {
        "ProductName": "Windows Server 2022 Standard",
        "EditionID": "ServerStandard",
        "CurrentBuildNumber": "20348",
        "DisplayVersion": "21H2",
    }
    state = {"ImageState": changes.pop("ImageState", GENERALISED)}
    return {
        "Microsoft": {
            "Windows NT": {"CurrentVersion": facts | changes},
            "Windows": {"CurrentVersion": {"Setup": {"State": state}}},
        }
    }


def system(start: int = 2) -> Key:
    """Return a SYSTEM hive's keys."""
    services = {"cloudbase-init": {"Start": start}}
    return {"Select": {"Current": 1}, "ControlSet001": {"Services": services}}


def files(**changes: bytes | str | None) -> dict[str, bytes | str]:
    """Return what is on the volume of a good image; None takes a file away."""
    good: dict[str, bytes | str | None] = {
        "Windows/System32/config/SOFTWARE": hive(software()),
        "Windows/System32/config/SYSTEM": hive(system()),
        "Windows/System32/ntoskrnl.exe": executable(),
        "Windows/System32/Boot/winload.efi": executable(),
        CONFIG: f"[DEFAULT]\nmetadata_services={MAAS_SERVICE}\n",
        "curtin/curtin-hooks": "#!/usr/bin/env python3\n",
        "curtin/finalize": "#!/usr/bin/env python3\n",
    }
    return {name: text for name, text in (good | changes).items() if text is not None}


def windows_disk(folder: Path, content: Mapping[str, bytes | str], *options: str) -> Path:
    """Make a disk as packer-maas makes them: ESP, reserved, Windows."""
    folder.mkdir(parents=True, exist_ok=True)
    loader = artefacts.efi_binary("loader", 4096, signed=True)
    esp = plant(
        folder / "esp-tree",
        {"EFI/Microsoft/Boot/bootmgfw.efi": loader, "EFI/Boot/bootx64.efi": loader},
    )
    volume = ntfs(folder / "c.ntfs", plant(folder / "c-tree", content), 24 * MIB, *options)
    if "hiberfil.sys" in content:  # wimlib leaves it out
        run("ntfscp", "-q", volume, folder / "c-tree/hiberfil.sys", "hiberfil.sys")
    return gpt(
        folder / "windows.raw",
        [
            Slice(fat(folder / "esp.fat", esp), ESP, name="EFI system partition"),
            Slice(None, MICROSOFT_RESERVED, size=16 * MIB),
            Slice(volume, MICROSOFT_DATA, name="Basic data partition"),
        ],
    )


def executable(machine: int = 0x8664) -> bytes:
    """Return the head of a PE file."""
    return (
        b"MZ".ljust(0x3C, b"\0")
        + struct.pack("<I", 0x80).ljust(0x44, b"\0")
        + struct.pack("<4sH", b"PE\0\0", machine).ljust(200, b"\0")
    )


# --- hives ----------------------------------------------------------------------------------------


class _Bin:
    """Cells, one after the other; offsets are from the start of the only bin."""

    def __init__(self) -> None:
        self.data = bytearray(32)

    def put(self, content: bytes) -> int:
        at = len(self.data)
        size = -(-(len(content) + 4) // 8) * 8
        self.data += struct.pack("<i", -size) + content.ljust(size - 4, b"\0")
        return at

    def patch(self, at: int, field: int, value: int) -> None:
        struct.pack_into("<I", self.data, at + 4 + field, value)


def hive(keys: Key) -> bytes:
    """Write a hive of version 1.5 as Windows lays it out."""
    cells = _Bin()
    root = _key(cells, "ROOT", keys, parent=0, flags=0x2C)
    size = -(-len(cells.data) // 4096) * 4096
    rest = size - len(cells.data)
    if rest:
        cells.data += struct.pack("<i", rest).ljust(rest, b"\0")
    struct.pack_into("<4sII", cells.data, 0, b"hbin", 0, size)
    head = bytearray(4096)
    struct.pack_into("<4sIIQIIIIIII", head, 0, b"regf", 1, 1, 0, 1, 5, 0, 1, root, size, 1)
    total = 0
    for [word] in struct.iter_unpack("<I", head[:508]):
        total ^= word
    struct.pack_into("<I", head, 508, total or 1)
    return bytes(head + cells.data)


def _key(cells: _Bin, name: str, content: Key, *, parent: int, flags: int = 0x20) -> int:
    nothing = 0xFFFFFFFF
    children = {each: what for each, what in content.items() if isinstance(what, dict)}
    values = {each: what for each, what in content.items() if not isinstance(what, dict)}
    encoded = name.encode("ascii")
    head = struct.pack(
        "<2sHQIIIIIIIIII5IHH",
        *(b"nk", flags, 0, 0, parent, len(children), 0, nothing, nothing),
        *(len(values), nothing, nothing, nothing, 0, 0, 0, 0, 0, len(encoded), 0),
    )
    at = cells.put(head + encoded)
    # Windows keeps names sorted, and readers may search by halves
    below = [
        (each, _key(cells, each, children[each], parent=at))
        for each in sorted(children, key=str.upper)
    ]
    if below:
        rows = b"".join(struct.pack("<I4s", where, each.encode()[:4]) for each, where in below)
        cells.patch(at, 28, cells.put(struct.pack("<2sH", b"lf", len(below)) + rows))
    if values:
        offsets = [_value(cells, each, what) for each, what in values.items()]
        cells.patch(at, 40, cells.put(struct.pack(f"<{len(offsets)}I", *offsets)))
    return at


def _value(cells: _Bin, name: str, what: str | int) -> int:
    encoded = name.encode("ascii")
    if isinstance(what, int):
        row = struct.pack("<2sHIIIHH", b"vk", len(encoded), 0x80000004, what, 4, 1, 0)
    else:
        data = (what + "\0").encode("utf-16-le")
        row = struct.pack("<2sHIIIHH", b"vk", len(encoded), len(data), cells.put(data), 1, 1, 0)
    return cells.put(row + encoded)
