"""VHD images: what Virtual PC, Hyper-V's first generation and Azure keep disks in."""

from __future__ import annotations

import struct
import sys
from array import array
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from mirror.formats import FormatError
from mirror_custom_images.disks.disk import Part
from mirror_custom_images.disks.mapped import MappedDisk, blocks, check_blocks, check_size

if TYPE_CHECKING:
    from mirror_custom_images.disks.disk import Disk
    from mirror_custom_images.disks.raw import RawDisk

_FOOTER = struct.Struct(">8sIIQI4sI4sQQHBBII16sB")
_HEADER = struct.Struct(">8sQQIIII")
_FOOTER_SIZE, _HEADER_SIZE = 512, 1024
_COOKIE, _SPARSE_COOKIE = b"conectix", b"cxsparse"
_FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4
_UNUSED = 0xFFFFFFFF
_SECTOR = 512
_BLOCK_SIZES = tuple(1 << bits for bits in range(12, 29))
_MAX_TABLE = 16 * 1024**2
"""Bytes: enough for 2 TiB in blocks of 512 KiB; they are of 2 MiB."""


class _Footer(NamedTuple):
    header_at: int
    size: int
    kind: int


def open_vhd(file: RawDisk) -> Disk:
    """Return the disk that a VHD file holds, be it fixed or dynamic.

    Raises `FormatError` where it is cut or damaged, or holds only what differs from another one.
    """
    footer = _read_footer(file)
    check_size(footer.size)
    if footer.kind == _DIFFERENCING:
        raise FormatError("is a part of a chain: it holds what differs from another disk only")
    if footer.kind == _FIXED:
        if footer.size > file.size - _FOOTER_SIZE:
            raise FormatError(f"is cut: {file.size - _FOOTER_SIZE:,} of {footer.size:,} bytes")
        return Part(file, 0, footer.size)
    if footer.kind != _DYNAMIC:
        raise FormatError(f"is a VHD of a kind that is not known: {footer.kind}")
    return _open_dynamic(file, footer)


def _read_footer(file: RawDisk) -> _Footer:
    if file.size < _FOOTER_SIZE:
        raise FormatError(f"is cut: {file.size} bytes are no VHD")
    data = file.read(file.size - _FOOTER_SIZE, _FOOTER_SIZE)
    if not data.startswith(_COOKIE):
        raise FormatError("is cut: it does not end as a VHD does")
    _check_sum(data, 64, "footer")
    (
        _, _, _, header_at, _, _, _, _, _, size, _, _, _, kind, _, _, saved,
    ) = _FOOTER.unpack_from(data)  # fmt: skip
    if saved:
        raise FormatError("is the disk of a virtual machine that was not shut down, but suspended")
    return _Footer(header_at, size, kind)


def _check_sum(data: bytes, at: int, what: str) -> None:
    (said,) = struct.unpack_from(">I", data, at)
    if ~(sum(data) - sum(data[at : at + 4])) & 0xFFFFFFFF != said:
        raise FormatError(f"is damaged: its {what} does not match its checksum")


def _open_dynamic(file: RawDisk, footer: _Footer) -> MappedDisk:
    if footer.header_at + _HEADER_SIZE > file.size:
        raise FormatError("is cut: its header is not in it")
    data = file.read(footer.header_at, _HEADER_SIZE)
    cookie, _, table_at, _, entries, block, _ = _HEADER.unpack_from(data)
    if cookie != _SPARSE_COOKIE:
        raise FormatError("is damaged: its header is not where it should be")
    _check_sum(data, 36, "header")
    if block not in _BLOCK_SIZES:
        raise FormatError(f"is damaged: it has blocks of {block:,} bytes")
    needed = -(-footer.size // block)
    if needed > entries:
        raise FormatError("is damaged: its table is too small for its disk")
    if needed * 4 > _MAX_TABLE:
        raise FormatError(f"has a table of {needed * 4:,} bytes: {_MAX_TABLE:,} are the most")
    if table_at + needed * 4 > file.size:
        raise FormatError("is cut: its table is not in it")
    table = _read_table(file.read(table_at, needed * 4), block)
    check_blocks(table, block, footer.size, file.size)
    return MappedDisk(file, footer.size, partial(blocks, table.__getitem__, block))


def _read_table(data: bytes, block: int) -> array[int]:
    """Return where each block's data begins in the file, behind its bitmap; -1 for zeros.

    The bitmap says which sectors were written: those that were not are zeros here, as in a disk
    that is no part of a chain there is nothing else that they could be.
    """
    entries = array("I", data)
    if sys.byteorder == "little":
        entries.byteswap()
    bitmap = -(-block // (_SECTOR * 8 * _SECTOR)) * _SECTOR
    return array("q", (-1 if e == _UNUSED else e * _SECTOR + bitmap for e in entries))
