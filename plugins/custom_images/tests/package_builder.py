"""Databases of packages: made by rpm itself and by Berkeley DB's own tools, or by hand."""

from __future__ import annotations

import sqlite3
import struct
import subprocess
import zlib
from contextlib import closing
from typing import TYPE_CHECKING

from mirror.testing.tools import tool

if TYPE_CHECKING:
    from pathlib import Path

SPEC = """\
Name: {name}
Version: {version}
Release: {release}
{epoch}Summary: A package of the tests
License: MIT
BuildArch: noarch
%description
Nothing.
%files
"""

PACKAGES = {
    "tiny": ("1.2", "3.el9", "Epoch: 4\n"),
    "other-lib": ("0.9~rc1", "1.fc40", ""),
    "python3-x": ("2024.1", "2", ""),
}
LISTED = [
    ("other-lib.noarch", "0.9~rc1-1.fc40"),
    ("python3-x.noarch", "2024.1-2"),
    ("tiny.noarch", "4:1.2-3.el9"),
]
"""The same, as a manifest has them."""


def rpm_database(where: Path) -> Path:
    """Let rpm build the packages and install them into a database; return that."""
    specs = []
    for name, (version, release, epoch) in PACKAGES.items():
        spec = where / f"{name}.spec"
        spec.write_text(SPEC.format(name=name, version=version, release=release, epoch=epoch))
        specs.append(spec)
    top, root = where / "top", where / "root"
    root.mkdir()
    build = ["-bb", "--define", f"_topdir {top}", "--define", "_build_id_links none", *specs]
    run(tool("rpmbuild"), *build)
    rpm = tool("rpm"), "--root", root, "--dbpath", "/var/lib/rpm"
    run(*rpm, "--initdb")
    run(*rpm, "--justdb", "--nodeps", "--noscripts", "--install", *top.rglob("*.rpm"))
    listed = run(*rpm, "-qa", "--queryformat", r"%{NAME}.%{ARCH}\t%{EVR}\n")
    assert sorted(tuple(line.split("\t")) for line in listed.splitlines()) == LISTED
    return root / "var/lib/rpm/rpmdb.sqlite"


def run(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


def blobs_of(database: Path) -> list[bytes]:
    """Return the headers as rpm wrote them."""
    with closing(sqlite3.connect(database)) as opened:
        return [blob for (blob,) in opened.execute("SELECT blob FROM Packages ORDER BY hnum")]


def header(name: str, version: str = "1", release: str = "1", **more: object) -> bytes:
    """Return a header with a few tags; `size` makes it longer."""
    tags = [(1000, 6, name), (1001, 6, version), (1002, 6, release)]
    if "epoch" in more:
        tags.append((1003, 4, more["epoch"]))
    tags.append((1022, 6, more.get("arch", "noarch")))
    index, data = b"", b""
    for tag, kind, value in tags:
        data += bytes(-len(data) % 4) if kind == 4 else b""
        index += struct.pack(">IIII", tag, kind, len(data), 1)
        data += struct.pack(">I", value) if kind == 4 else str(value).encode() + b"\0"
    data += bytes(max(0, int(str(more.get("size", 0))) - len(data)))
    return struct.pack(">II", len(tags), len(data)) + index + data


def sqlite(file: Path, blobs: list[bytes]) -> bytes:
    with closing(sqlite3.connect(file)) as made:
        made.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
        made.executemany("INSERT INTO Packages (blob) VALUES (?)", [(each,) for each in blobs])
        made.commit()
    return file.read_bytes()


def berkeley(file: Path, blobs: list[bytes], *, order: int = 1234, page: int = 4096) -> bytes:
    """Let Berkeley DB's own tool write a hash, as rpm did: number -> header."""
    lines = [
        "VERSION=3",
        "format=bytevalue",
        "type=hash",
        f"db_lorder={order}",
        f"db_pagesize={page}",
        "HEADER=END",
    ]
    entries = [(0, struct.pack("<I", len(blobs))), *enumerate(blobs, start=1)]
    for number, blob in entries:
        lines += [f" {struct.pack('<I', number).hex()}", f" {blob.hex()}"]
    text = "\n".join([*lines, "DATA=END", ""])
    file.unlink(missing_ok=True)
    command = [tool("db_load"), "-h", str(file.parent), file.name]
    subprocess.run(command, input=text, text=True, check=True)
    return file.read_bytes()


def ndb(blobs: list[bytes], *, pages: int = 1) -> bytes:
    """Return rpm's own form: a page of slots, then each header in units of 16 bytes."""
    slots, bodies = b"", b""
    for number, blob in enumerate(blobs, start=1):
        body = struct.pack("<4sIII", b"BlbS", number, 1, len(blob)) + blob
        tail = struct.pack("<II4s", zlib.adler32(body), len(blob), b"BlbE")
        body += bytes(-(len(body) + len(tail)) % 16) + tail
        start = (pages * 4096 + len(bodies)) // 16
        slots += struct.pack("<4sIII", b"Slot", number, start, len(body) // 16)
        bodies += body
    head = struct.pack("<4sIIII", b"RpmP", 0, 7, pages, len(blobs) + 1).ljust(32, b"\0")
    free = struct.pack("<4sIII", b"Slot", 0, 0, 0)
    room = pages * 4096 - len(head) - len(slots)
    return head + slots + free * (room // 16) + bodies
