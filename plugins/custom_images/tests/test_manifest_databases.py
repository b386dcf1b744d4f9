"""Databases of packages are read as the programs read them that made them."""

from __future__ import annotations

import io
import shutil
import sqlite3
import struct
import subprocess
import time
from contextlib import closing
from pathlib import Path

import package_builder as build
import pytest
from mirror_custom_images.packages import rpm_databases
from mirror_custom_images.packages.dpkg import apk_packages, dpkg_packages, pacman_package
from mirror_custom_images.packages.rpm import package_of, packages_of
from mirror_custom_images.packages.rpm_databases import rpm_headers

from mirror.formats import FormatError
from mirror.testing.tools import tool


def listed(data: bytes) -> list[tuple[str, str]]:
    found = packages_of(rpm_headers(io.BytesIO(data)))
    return sorted((each.name, each.version) for each in found)


def refused(data: bytes, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        listed(data)


def test_the_database_of_rpm_itself(tmp_path):
    assert listed(build.rpm_database(tmp_path).read_bytes()) == build.LISTED


def test_headers_of_rpm_in_the_other_forms(tmp_path):
    blobs = build.blobs_of(build.rpm_database(tmp_path))
    assert listed(build.ndb(blobs)) == build.LISTED
    assert listed(build.berkeley(tmp_path / "Packages", blobs)) == build.LISTED


MANY = [build.header(f"p{number}", size=number * 40) for number in range(150)]
MANY_LISTED = sorted((f"p{number}.noarch", "1-1") for number in range(150))


@pytest.mark.parametrize("order", [1234, 4321])
@pytest.mark.parametrize("page", [512, 4096, 65536])
def test_berkeley_with_values_on_and_off_its_pages(tmp_path, order, page):
    """Some headers fit a page, others have a chain of pages; as on each kind of machine."""
    data = build.berkeley(tmp_path / "Packages", MANY, order=order, page=page)
    assert listed(data) == MANY_LISTED


def test_sqlite_and_ndb_with_many(tmp_path):
    assert listed(build.sqlite(tmp_path / "db", MANY)) == MANY_LISTED
    assert listed(build.ndb(MANY)) == MANY_LISTED


def test_an_ndb_that_lost_a_package():
    data = bytearray(build.ndb(MANY))
    data[32 + 16 * 4 : 32 + 16 * 5] = struct.pack("<4sIII", b"Slot", 0, 0, 0)
    assert len(listed(bytes(data))) == 149


def test_a_sqlite_that_was_used_with_a_journal(tmp_path):
    file = tmp_path / "db"
    with closing(sqlite3.connect(file)) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
        made.execute("INSERT INTO Packages (blob) VALUES (?)", [MANY[0]])
        made.commit()
    assert listed(file.read_bytes()) == [("p0.noarch", "1-1")]


def test_an_epoch_and_an_architecture():
    package = package_of(build.header("kernel", "5.14", "1.el9", epoch=2, arch="x86_64"))
    assert (package.name, package.version) == ("kernel.x86_64", "2:5.14-1.el9")
    assert package_of(build.header("gpg-pubkey", "fd431d51", "4ae0493b")) is None
    assert package_of(build.header("a", epoch=0)).version == "1-1"


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"", "cut"),
        (b"\0" * 7, "cut"),
        (struct.pack(">II", 1 << 20, 0), "tags"),
        (struct.pack(">II", 1, 1 << 30), "bytes"),
        (struct.pack(">II", 2, 10) + bytes(20), "cut"),
        (struct.pack(">II", 0, 0), "without a name"),
        (build.header("a")[:-4], "cut"),
        (build.header(""), "can't be read"),
        (build.header("a b"), "can't be read"),
        (build.header("a\n"), "can't be read"),
        (build.header("a", "x" * 300), "can't be read"),
        (struct.pack(">II", 1, 4) + struct.pack(">IIII", 1000, 6, 1 << 31, 1) + b"abc\0", "read"),
        (struct.pack(">II", 1, 4) + struct.pack(">IIII", 1000, 7, 0, 1) + b"abc\0", "read"),
    ],
)
def test_a_header_that_is_none(header, said):
    with pytest.raises(FormatError, match=said):
        package_of(header)


def test_files_that_are_no_database(tmp_path):
    refused(b"", "no database")
    refused(b"x" * 5000, "no database")
    refused(b"SQLite format 3\0" + b"x" * 5000, "can't be read")
    refused(build.sqlite(tmp_path / "db", MANY)[:9000], "can't be read")
    refused(build.ndb(MANY)[:-20], "is cut")
    refused(build.berkeley(tmp_path / "Packages", MANY)[:-5000], "is cut")
    refused(build.sqlite(tmp_path / "not", [b"x"]), "cut")


def test_what_a_hostile_sqlite_defines_is_not_run(tmp_path):
    file = tmp_path / "db"
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i, i AS blob FROM n"
    )
    with closing(sqlite3.connect(file)) as made:
        made.execute(f"CREATE VIEW Packages AS {endless}")
    start = time.monotonic()
    refused(file.read_bytes(), "no table")
    made = build.sqlite(tmp_path / "other", MANY)
    with closing(sqlite3.connect(tmp_path / "other")) as other:
        other.execute("DROP TABLE Packages")
        other.execute("CREATE TABLE Packages (hnum, blob AS (zeroblob(1000000000)))")
        other.execute("INSERT INTO Packages (hnum) VALUES (1)")
        other.commit()
    refused((tmp_path / "other").read_bytes(), "can't be read|cut|no header")
    assert made
    assert time.monotonic() - start < 10


def test_a_sqlite_whose_schema_is_no_text(tmp_path):
    data = bytearray(build.sqlite(tmp_path / "db", MANY))
    at = data.index(b"CREATE TABLE Packages")
    data[at + 8 : at + 12] = b"\0\0\0\x80"
    refused(bytes(data), "can't be read")


def test_a_loop_of_pages_ends(tmp_path):
    """A chain of pages that never ends, and one that is longer than it says."""
    data = bytearray(build.berkeley(tmp_path / "Packages", [build.header("a", size=30_000)]))
    chain = [at for at in range(0, len(data), 4096) if data[at + 25] == 7]
    first = struct.unpack_from("<I", data, chain[0] + 8)[0]
    data[chain[-1] + 16 : chain[-1] + 20] = struct.pack("<I", first)
    assert len(listed(bytes(data))) == 1  # what is behind the end of the value is nobody's
    data[chain[2] + 16 : chain[2] + 20] = struct.pack("<I", 0)
    refused(bytes(data), "other pages")


def test_packages_that_lie_one_over_the_other(monkeypatch):
    monkeypatch.setattr(rpm_databases, "MOST_DATABASE", 100_000)
    data = bytearray(build.ndb([build.header("a", size=30_000)]))
    slot = data[32:48]
    for number in range(10):
        data[32 + 16 * number : 48 + 16 * number] = slot
    refused(bytes(data), "one over the other")


def test_a_database_that_is_too_large(monkeypatch):
    monkeypatch.setattr(rpm_databases, "MOST_DATABASE", 10_000)
    refused(bytes(20_000), "has more than")
    monkeypatch.setattr(rpm_databases, "MOST_DATABASE", 1 << 30)
    monkeypatch.setattr(rpm_databases, "MOST_PACKAGES", 100)
    refused(build.ndb(MANY), "lists more than 100")


# --- the databases that are text ------------------------------------------------------------------

STATUS = """\
Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b7
Conffiles:
 /etc/bash.bashrc 89269e1298235f1b12b4c16e4065ad0d
Description: GNU Bourne Again SHell
 Version: of something else

Package: held
Status: hold ok installed
Architecture: all
Version: 1:2~rc

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 3

Package: half
Status: install reinstreq half-installed
Architecture: amd64
Version: 3

Package: libc6
Status: install ok installed
Multi-Arch: same
Architecture: amd64
Version: 2.36-9+deb12u4
"""


def test_dpkg_as_dpkg_query_lists_it(tmp_path):
    (tmp_path / "status").write_text(STATUS)
    (tmp_path / "updates").mkdir()
    query = [
        "--admindir",
        tmp_path,
        "-W",
        "-f",
        "${db:Status-Status} ${binary:Package}\t${Version}\n",
    ]
    out = subprocess.run([tool("dpkg-query"), *query], capture_output=True, text=True, check=True)
    lines = [line.partition(" ") for line in out.stdout.splitlines()]
    wanted = [rest for state, _, rest in lines if state == "installed"]
    found = dpkg_packages(io.BytesIO(STATUS.encode()))
    assert sorted(f"{each.name}\t{each.version}" for each in found) == sorted(wanted)
    assert len(wanted) == 3


def test_the_status_of_this_very_system():
    """A real one, of some hundred packages."""
    if shutil.which("dpkg-query") is None:
        pytest.skip("this is no Debian")
    form = "${db:Status-Status}|${binary:Package}\t${Version}\n"
    out = subprocess.run(
        ["dpkg-query", "-W", "-f", form], capture_output=True, text=True, check=True
    )
    wanted = {line[10:] for line in out.stdout.splitlines() if line.startswith("installed|")}
    with Path("/var/lib/dpkg/status").open("rb", buffering=0) as stream:
        found = {f"{each.name}\t{each.version}" for each in dpkg_packages(stream)}
    assert found == wanted


@pytest.mark.parametrize(
    "status",
    [
        "Package: a b\nStatus: install ok installed\nVersion: 1\n",
        "Package: a\nStatus: install ok installed\n",
        "Package: a\nStatus: install ok installed\nVersion: 1\x002\n",
        "x" * (2 << 20),
    ],
)
def test_a_status_that_is_none(status):
    with pytest.raises(FormatError):
        list(dpkg_packages(io.BytesIO(status.encode())))


def test_apk_and_pacman():
    text = b"C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\n\nP:busybox\nV:1.36.1-r5\n\n"
    found = [(each.name, each.version) for each in apk_packages(io.BytesIO(text))]
    assert found == [("musl", "1.2.4-r2"), ("busybox", "1.36.1-r5")]
    package = pacman_package("var/lib/pacman/local/linux-api-headers-6.4-1/desc")
    assert (package.name, package.version) == ("linux-api-headers", "6.4-1")
    assert pacman_package("var/lib/pacman/local/x-1-1/files") is None
