"""The three databases that rpm has had: each is a file that holds a header for each package."""

from __future__ import annotations

import sqlite3
import struct
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

from mirror.formats import FormatError
from mirror_custom_images.packages.berkeley import headers_of_berkeley
from mirror_custom_images.packages.rpm import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_DATABASE = 1 << 30
"""Bytes of a database; one of 3,000 packages has some 200 MB."""
MOST_PACKAGES = 50_000
_SECONDS = 60.0
_CHUNK = 1 << 20

_SQLITE = b"SQLite format 3\0"
_NDB = b"RpmP"
_NDB_HEADER = struct.Struct("<4sIII")
_NDB_SLOT = struct.Struct("<4sIII")
_NDB_BLOB = struct.Struct("<4sIII")
_NDB_PAGE, _NDB_UNIT = 4096, 16
_NDB_SLOT_MAGIC, _NDB_BLOB_MAGIC = b"Slot", b"BlbS"
_MOST_SLOT_PAGES = 2048


def rpm_headers(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the header of each package in a database of rpm: sqlite, ndb or Berkeley DB's hash.

    The database is copied to a temporary file first: what reads it goes to and fro. Raises
    `FormatError` where it is none of them, is damaged or larger than any.
    """
    with TemporaryDirectory(prefix="rpmdb-") as folder:
        file = Path(folder) / "db"
        head = _copy(stream, file)
        for count, header in enumerate(_headers(file, head), start=1):
            if count > MOST_PACKAGES:
                raise FormatError(f"lists more than {MOST_PACKAGES:,} packages")
            yield header


def _headers(file: Path, head: bytes) -> Iterator[bytes]:
    if head.startswith(_SQLITE):
        yield from _of_sqlite(file)
        return
    with file.open("rb") as stream:
        if head.startswith(_NDB):
            yield from _of_ndb(stream)
        else:
            yield from headers_of_berkeley(stream)


def _copy(stream: BinaryIO, file: Path) -> bytes:
    """Copy a stream to a file; return how it begins."""
    head, size = b"", 0
    with file.open("wb") as out:
        while chunk := stream.read(_CHUNK):
            head = head or chunk[:16]
            size += len(chunk)
            if size > MOST_DATABASE:
                raise FormatError(f"has more than {MOST_DATABASE:,} bytes")
            out.write(chunk)
    return head


def _of_sqlite(file: Path) -> Iterator[bytes]:
    """Read the table of packages; whatever else the file defines is not run."""
    until = time.monotonic() + _SECONDS
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
            database.set_progress_handler(lambda: time.monotonic() > until, 100_000)
            database.execute("PRAGMA trusted_schema=OFF")
            kinds = database.execute("SELECT type FROM sqlite_master WHERE name='Packages'")
            if kinds.fetchall() != [("table",)]:
                raise FormatError("has no table of packages")
            database.set_authorizer(_reads_only)
            for (blob,) in database.execute("SELECT blob FROM Packages"):
                if not isinstance(blob, bytes):
                    raise FormatError("has a package that is no header")
                yield blob
    except (sqlite3.Error, MemoryError, OverflowError, UnicodeDecodeError) as error:
        # What SQLite says may quote the file, in any bytes.
        raise FormatError(f"can't be read: {ascii(str(error)[:80])[1:-1]}") from error


def _reads_only(action: int, first: str | None, *_: object) -> int:
    allowed = action == sqlite3.SQLITE_SELECT or (
        action == sqlite3.SQLITE_READ and first == "Packages"
    )
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _of_ndb(stream: BinaryIO) -> Iterator[bytes]:
    """Read the slots at the start of the file: each says where the header of one package is."""
    _, version, _, pages = _NDB_HEADER.unpack(_exactly(stream, 0, _NDB_HEADER.size))
    if version != 0 or not 0 < pages <= _MOST_SLOT_PAGES:
        raise FormatError(f"is version {version} of its form, with {pages:,} pages of slots")
    slots = _exactly(stream, 0, pages * _NDB_PAGE)
    # The header of the file takes the place of the first two slots.
    left = MOST_DATABASE
    for magic, number, start, length in _NDB_SLOT.iter_unpack(slots[2 * _NDB_SLOT.size :]):
        if magic != _NDB_SLOT_MAGIC:
            raise FormatError("is damaged: a slot of a package can't be read")
        if start:
            left -= length * _NDB_UNIT
            if left < 0:
                raise FormatError("is damaged: its packages lie one over the other")
            yield _ndb_blob(stream, number, start * _NDB_UNIT, length * _NDB_UNIT)


def _ndb_blob(stream: BinaryIO, number: int, start: int, room: int) -> bytes:
    magic, owner, _, size = _NDB_BLOB.unpack(_exactly(stream, start, _NDB_BLOB.size))
    if magic != _NDB_BLOB_MAGIC or owner != number or size + _NDB_BLOB.size > room:
        raise FormatError(f"is damaged: the header of package {number} is not where it should be")
    return _exactly(stream, start + _NDB_BLOB.size, size)


def _exactly(stream: BinaryIO, at: int, size: int) -> bytes:
    if size > MOST_BYTES:
        raise FormatError(f"has a header of a package of {size:,} bytes")
    stream.seek(at)
    data = stream.read(size)
    if len(data) < size:
        raise FormatError(f"is cut: {at + len(data):,} bytes of {at + size:,}")
    return data
