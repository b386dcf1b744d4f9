"""Root tarballs of real programs, of the wrong type, damaged, and hostile."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import tarfile
import time
import tracemalloc
from collections import deque
from typing import TYPE_CHECKING

import pytest
from mirror_custom_images.checks import root_tarball
from mirror_custom_images.tar_entries import read_tar
from root_builder import (
    MTIME,
    Node,
    check,
    codes,
    debian,
    errors,
    hard_link,
    labelled,
    link,
    member,
    product,
    put,
    rhel,
    tar,
    text,
    tgz,
    version_of,
)

from mirror.formats import FormatError
from mirror.testing import spoil
from mirror.testing.tools import tool

if TYPE_CHECKING:
    from mirror_custom_images.entries import Entry

CAPABILITY = bytes.fromhex("0100000200240000000000000000000000000000")


def entries(data: bytes) -> dict[str, Entry]:
    return {entry.path: entry for entry in read_tar(io.BytesIO(data))}


# --- what is read of a tar ------------------------------------------------------------------------

TREE = {
    "etc": Node("dir", mode=0o755, uid=12, gid=34),
    "etc/a": Node(content=b"abc", mode=0o4711, uid=1_000_000, gid=7, xattrs={"user.x": "1"}),
    "etc/b": hard_link("etc/a"),
    "etc/c": link("../a"),
    "dev/sda": Node("block", device=(8, 1)),
    "dev/null": Node("char", device=(1, 3)),
    "run/pipe": Node("fifo"),
}


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_entries_of_what_python_writes(form):
    found = entries(tar(TREE, form=form))
    kinds = ["dir", "file", "hardlink", "symlink", "block", "char", "fifo"]
    assert [each.kind for each in found.values()] == kinds
    file = found["etc/a"]
    assert (file.size, file.mode, file.uid, file.gid) == (3, 0o4711, 1_000_000, 7)
    assert file.mtime == MTIME * 10**9
    assert (found["etc"].uid, found["etc"].gid) == (12, 34)
    assert (found["etc/b"].target, found["etc/c"].target) == ("etc/a", "../a")
    assert (found["dev/sda"].device, found["dev/null"].device) == ((8, 1), (1, 3))
    assert dict(file.xattrs) == ({"user.x": b"1"} if form == tarfile.PAX_FORMAT else {})


@pytest.fixture
def folder(tmp_path):
    """A directory with owners' bits, times before 1970, and attributes that programs write down."""
    root = tmp_path / "tree"
    (root / "etc").mkdir(parents=True)
    (root / "etc/a").write_bytes(b"abc")
    (root / "etc/a").chmod(0o2750)
    os.link(root / "etc/a", root / "etc/b")
    (root / "etc/größe").write_bytes(b"")
    os.utime(root / "etc/größe", ns=(0, -2_000_000_000))
    os.mkfifo(root / "etc/pipe")
    os.setxattr(root / "etc/a", "user.binary", bytes(range(256)))
    return root


@pytest.mark.parametrize(
    "program",
    [
        ("tar", "--format=posix", "--xattrs", "--xattrs-include=*"),
        ("bsdtar", "--format=pax", "--xattrs"),
    ],
    ids=lambda words: words[0],
)
def test_entries_of_what_programs_write(folder, program):
    name, *options = program
    command = [tool(name), *options, "-cf", "-", "-C", folder, "."]
    found = entries(subprocess.run(command, capture_output=True, check=True).stdout)
    assert set(found) == {".", "etc", "etc/a", "etc/b", "etc/größe", "etc/pipe"}
    first = found["etc/a"] if found["etc/a"].kind == "file" else found["etc/b"]
    assert first.xattrs["user.binary"] == bytes(range(256))
    assert first.mode == 0o2750
    status = (folder / "etc/a").stat()
    assert (first.uid, first.gid, first.mtime) == (status.st_uid, status.st_gid, status.st_mtime_ns)
    assert found["etc/größe"].mtime == -2_000_000_000
    assert found["etc/pipe"].kind == "fifo"


def with_records(**records: str) -> bytes:
    info = member("etc/a", text("abc"))
    info.pax_headers = dict(records)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(b"abc"))
    return out.getvalue()


@pytest.mark.parametrize(
    ("key", "value", "name", "meant"),
    [
        ("RHT.security.selinux", "a:b:c:s0", "security.selinux", b"a:b:c:s0\0"),
        ("SCHILY.xattr.security.selinux", "a:b:c:s0\0", "security.selinux", b"a:b:c:s0\0"),
        ("LIBARCHIVE.xattr.user.a%20b", "AQID", "user.a b", b"\1\2\3"),
        ("LIBARCHIVE.xattr.security.capability", "AQI", "security.capability", b"\1\2"),
    ],
)
def test_a_record_of_an_extended_attribute(key, value, name, meant):
    assert dict(entries(with_records(**{key: value}))["etc/a"].xattrs) == {name: meant}


@pytest.mark.parametrize(
    ("key", "value"),
    [("LIBARCHIVE.xattr.user.x", "!!!"), ("uid", "-1"), ("mtime", "now"), ("mtime", "1.x")],
)
def test_a_record_that_can_t_be_read(key, value):
    with pytest.raises(FormatError, match="is damaged"):
        entries(with_records(**{key: value}))


@pytest.mark.parametrize(
    ("said", "meant"), [("1.5", 1_500_000_000), ("-1.25", -1_250_000_000), ("7", 7 * 10**9)]
)
def test_a_time(said, meant):
    assert entries(with_records(mtime=said))["etc/a"].mtime == meant


# --- archives of programs -------------------------------------------------------------------------


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_a_good_one_in_each_form(tmp_path, form):
    assert check(tgz(rhel(), form=form), tmp_path) == []


@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_a_good_one_that_a_program_packed(tmp_path, program):
    root = tmp_path / "root"
    for path, node in rhel().items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if node.kind == "dir":
            file.mkdir(exist_ok=True)
        elif node.kind == "symlink":
            file.symlink_to(node.target)
        else:
            file.write_bytes(node.content)
            file.chmod(node.mode)
    owner = ["--owner=0", "--group=0"] if program == "tar" else ["--uid=0", "--gid=0"]
    command = [tool(program), *owner, "-czf", "-", "-C", root, "."]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    assert check(data, tmp_path) == []


@pytest.mark.parametrize(
    ("ftype", "pack"), [("root-tbz", bz2.compress), ("root-txz", lzma.compress)]
)
def test_the_other_compressions(tmp_path, ftype, pack):
    assert check(pack(tar(rhel())), tmp_path, ftype=ftype) == []


def test_hooks_injected_in_a_member_of_gzip_in_front(tmp_path):
    hooks = tar({"curtin/curtin-hooks": text("#!/bin/sh\n", 0o755)}).rstrip(b"\0")
    front = gzip.compress(hooks + bytes(-len(hooks) % 512))
    found = check(front + tgz(debian()), tmp_path, "custom/mine")
    assert not errors(found)
    nobody = put("usr/lib/os-release", "ID=mine\n")(debian())
    assert ("warning", "unknown-system") in codes(check(tgz(nobody), tmp_path, "custom/mine"))
    assert ("warning", "unknown-system") not in codes(
        check(front + tgz(nobody), tmp_path, "custom/mine")
    )


def test_labels_of_all_programs_count(tmp_path):
    tree = labelled(put("etc/selinux/config", "SELINUX=enforcing\n")(rhel()))
    assert check(tgz(tree), tmp_path) == []


# --- the wrong type -------------------------------------------------------------------------------

DISK = bytes(446) + b"\x80" + bytes(3) + b"\x83" + bytes(3) + b"\1\0\0\0\xff\0\0\0" + bytes(48)
DISK = (DISK + b"\x55\xaa").ljust(200_000, b"\7")


@pytest.mark.parametrize(
    ("data", "ftype", "said"),
    [
        (gzip.compress(DISK), "root-tgz", r"root-tgz \(tgz\).*disk image.*root-dd\.gz \(ddgz\)"),
        (
            gzip.compress(tar({"disk.raw": Node(content=DISK)})),
            "root-tgz",
            r"tar of one disk image.*root-dd \(ddtgz\)",
        ),
        (DISK, "root-tgz", r"disk image.*root-dd\.raw \(ddraw\)"),
        (tar(rhel()), "root-tgz", "compress it"),
        (gzip.compress(tar({"oci-layout": text("{}")})), "root-tgz", "container"),
        (b"QFI\xfb\0\0\0\3" + bytes(600), "root-tgz", "qcow2"),
    ],
)
def test_the_wrong_type_says_both_types(tmp_path, data, ftype, said):
    (found,) = check(data, tmp_path, ftype=ftype)
    assert (found.severity.value, found.code) == ("error", "custom-images-wrong-type")
    import re

    assert re.search(said, found.message), found.message


def test_another_compression_is_unpacked_all_the_same(tmp_path):
    found = check(lzma.compress(tar(rhel())), tmp_path)
    assert codes(found) == {("warning", "compression")}
    assert "root-txz" in found[0].message


# --- damaged and hostile --------------------------------------------------------------------------

WHOLE = tgz(put("usr/lib/filler", Node(content=os.urandom(900_000)))(rhel()))


@pytest.mark.parametrize(
    "data",
    [
        spoil.empty(),
        spoil.zeros(4096),
        spoil.web_page(),
        WHOLE[: len(WHOLE) // 2],
        WHOLE[:-1],
        WHOLE[:-8] + b"\0\0\0\0" + WHOLE[-4:],
        WHOLE + b"something else",
        WHOLE + WHOLE,
        WHOLE[:700_000] + b"\xff\xff" + WHOLE[700_002:],
        gzip.compress(tar(rhel())[:-10240]),
        gzip.compress(b"hello\n" * 1000),
    ],
    ids=[
        *("empty", "zeros", "web page", "half", "cut", "wrong sum", "more behind", "twice"),
        *("changed", "cut tar", "no tar"),
    ],
)
def test_what_is_damaged_is_an_error_and_nothing_else(tmp_path, data):
    found = check(data, tmp_path)
    assert codes(found) <= {("error", "unreadable"), ("error", "wrong-type")}
    assert len(found) == 1


def test_a_bomb_is_refused_without_being_expanded(tmp_path, monkeypatch):
    """The limit is the archive's: a smaller one here, so that the test is quick."""
    monkeypatch.setattr(root_tarball, "read_tar", lambda file, **_: read_tar(file, limit=1 << 26))
    big = member("bomb", Node())
    big.size = 1 << 40
    endless = big.tobuf(tarfile.GNU_FORMAT)
    found = check(gzip.compress(tar(rhel())[:-10240] + endless), tmp_path)
    assert codes(found) == {("error", "unreadable")}
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb", compresslevel=1) as packed:
        packed.write(tar(rhel()))
        for _ in range(100):
            packed.write(bytes(1 << 20))
    start = time.monotonic()
    found = check(bomb.getvalue(), tmp_path)
    assert "expands to more than" in found[0].message
    assert time.monotonic() - start < 10


class Endless(io.RawIOBase):
    """An archive of ten million files of nothing, made while it is read."""

    def __init__(self) -> None:
        self.left = 10_000_000
        self.made = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self.made) < size and self.left:
            block = member(f"usr/share/{self.left}", Node()).tobuf(tarfile.GNU_FORMAT)
            self.made += block * 1000
            self.left -= 1000
        data, self.made = self.made[:size], self.made[size:]
        return data


def test_ten_million_entries_are_refused_in_time_and_memory():
    from mirror_custom_images.checks.root_files import RootCheck

    root = RootCheck(product(), str)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="has more than 30,000 members"):
            deque(map(root.see, read_tar(Endless(), members=30_000)), maxlen=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30 << 20


def test_names_that_are_no_utf_8_and_lines_in_names(tmp_path):
    odd = {f"etc/{name}": text("x") for name in ("gr\udcfc\udcdf", "a\nb", "tab\there", "\\x")}
    tree = {**rhel(), **odd, "../gr\udcfc\udcdf\n": text("x")}
    (found,) = check(tgz(tree), tmp_path)
    assert found.code == "custom-images-climbs"
    assert found.message.isascii()
    assert found.message.isprintable()


def test_the_manifest_is_kept_once_the_archive_was_read_to_its_end(tmp_path):
    def kept(data: bytes) -> list[str]:
        file = tmp_path / "image"
        file.write_bytes(data)
        got = []
        version, item = version_of(data)
        keep = lambda sha256, manifest: got.append((sha256, manifest.text))  # noqa: E731
        list(root_tarball.check(product("custom/x"), version, item, file, keep))
        return [text for sha256, text in got if sha256 == item.sha256]

    assert kept(tgz(debian())) == ["bash\t5.2-1\nlibc6:amd64\t2.36-9\n"]
    assert kept(tgz(debian())[:-1]) == []
