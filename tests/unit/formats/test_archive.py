"""Archives of real programs are read; archives that no program makes are refused."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import subprocess
import tarfile
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.formats import FormatError, archive
from mirror.formats.archive import Member, read_archive

LIMIT = 1 << 28
GNU, PAX, USTAR = tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT
LONG = "usr/share/" + "/".join(f"directory-{n:02}" for n in range(20)) + "/file"


def info(name: str, kind: bytes = tarfile.REGTYPE, **more) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    for key, value in more.items():
        setattr(made, key, value)
    return made


def header(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **more) -> bytes:
    """Return one header with its content, as blocks."""
    made = info(name, kind, **{"size": len(content), **more})
    return made.tobuf(GNU, "utf-8", "surrogateescape") + blocks(content)


def blocks(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def signed(block: bytes) -> bytes:
    """Return a header block with the right checksum in place of the one it has."""
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    return block[:148] + b"%06o\0 " % total + block[156:]


def changed(block: bytes, at: int, field: bytes) -> bytes:
    return signed(block[:at] + field + block[at + len(field) : 512]) + block[512:]


def pax(records: dict[str, str | bytes], kind: bytes = b"x") -> bytes:
    out = b""
    for key, value in records.items():
        body = b" %s=%s\n" % (key.encode(), value if isinstance(value, bytes) else value.encode())
        size = len(body) + 1
        while len(b"%d" % size) + len(body) != size:
            size += 1
        out += b"%d" % size + body
    return header("PaxHeaders/x", out, kind)


END = bytes(1024)
BODY = b"the content\n"


def read(data: bytes, **more) -> list[tuple[Member, bytes]]:
    stream = io.BytesIO(data)
    options = {"limit": LIMIT, **more}
    return [(member, body.read()) for member, body in read_archive(stream, **options)]


def names(data: bytes) -> list[str]:
    return [member.name for member, _ in read(data)]


def refused(data: bytes, said: str, **more) -> None:
    with pytest.raises(FormatError, match=said):
        read(data, **more)


@pytest.fixture
def tree(tmp_path):
    """A little of everything that a root file system holds."""
    root = tmp_path / "tree"
    (root / LONG).parent.mkdir(parents=True)
    (root / LONG).write_bytes(b"deep\n")
    (root / "etc").mkdir()
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    (root / "etc/long-link").symlink_to("/" + LONG)
    (root / "etc/a").write_bytes(b"a" * 1000)
    os.link(root / "etc/a", root / "etc/b")
    (root / "etc/a").chmod(0o4755)
    os.mkfifo(root / "etc/pipe")
    (root / "etc/größe").write_bytes(b"")
    with (root / "holes").open("wb") as file:
        for number in range(40):
            file.seek(number * 100_000 + 8192)
            file.write(b"%05d" % number)
        file.truncate(5_000_000)
    return root


@pytest.mark.parametrize("form", ["gnu", "oldgnu", "posix"])
@pytest.mark.parametrize(
    "sparse",
    [
        (),
        ("--sparse",),
        *(("--sparse", f"--sparse-version={version}") for version in ("0.0", "0.1", "1.0")),
    ],
    ids="-".join,
)
def test_what_gnu_tar_writes(tree, form, sparse):
    command = ["tar", "--create", f"--format={form}", *sparse, "--directory", tree, "."]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    found = {member.name: (member, content) for member, content in read(data)}
    assert set(found) == {str(path.relative_to(tree)) for path in (tree, *tree.rglob("*"))}
    assert found["."][0].kind == "dir"
    assert found[LONG][1] == b"deep\n"
    assert found["holes"][1] == (tree / "holes").read_bytes()
    assert found["holes"][0].size == 5_000_000
    assert found["etc/os-release"][0].target == "../usr/lib/os-release"
    assert found["etc/long-link"][0].target == "/" + LONG
    assert found["etc/pipe"][0].kind == "other"
    kinds = {found[f"etc/{name}"][0].kind for name in "ab"}
    assert kinds == {"file", "hardlink"}
    assert 0o4755 in {found[f"etc/{name}"][0].mode for name in "ab"}


@pytest.mark.parametrize("compression", ["gzip", "xz", "bzip2", "zstd"])
def test_a_compressed_archive(tree, tmp_path, compression):
    file = tmp_path / "archive"
    command = ["tar", "--create", f"--{compression}", "--file", file, "--directory", tree, "etc"]
    subprocess.run(command, check=True)
    found = [member.name for member, _ in read_archive(file, limit=LIMIT)]
    assert "etc/os-release" in found


@pytest.mark.parametrize("form", [GNU, PAX, USTAR])
def test_what_python_writes(form):
    out = io.BytesIO()
    path = "a/" * 60 + "file"
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        archive.addfile(info(path, size=len(BODY), mode=0o640), io.BytesIO(BODY))
        archive.addfile(info("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3))
    (file, content), (device, _) = read(out.getvalue())
    assert (file, content) == (Member(path, "file", len(BODY), 0o640), BODY)
    assert device == Member("dev/null", "device", 0, 0o644)


def test_attributes_of_selinux_are_passed_over():
    records = {
        "SCHILY.xattr.security.selinux": "system_u:object_r:etc_t:s0",
        "SCHILY.xattr.security.capability": b"\1\0\0\2=\n\0\0",
        "SCHILY.acl.access": "user::rw-,group::r--,other::r--",
        "mtime": "1700000000.123",
    }
    data = pax(records) + header("etc/hosts", BODY) + END
    assert read(data) == [(Member("etc/hosts", "file", len(BODY), 0o644), BODY)]


def test_pax_says_more_than_the_header():
    long_pax = pax({"path": "é/" * 200 + "x", "linkpath": "t" * 300})
    link = header("cut", kind=tarfile.SYMTYPE, linkname="cut")
    sized = pax({"size": str(len(BODY))}) + changed(header("f"), 124, b"0" * 11) + blocks(BODY)
    (first, _), (second, content) = read(long_pax + link + sized + END)
    assert (first.name, first.target) == ("é/" * 200 + "x", "t" * 300)
    assert (second.size, content) == (len(BODY), BODY)


def test_a_size_in_base_256():
    data = changed(header("f"), 124, b"\x80" + len(BODY).to_bytes(11, "big"))
    assert read(data + blocks(BODY) + END)[0][1] == BODY


def test_an_archive_of_the_oldest_kind():
    plain = changed(header("etc/", b"", b"\0"), 257, bytes(255))
    assert read(plain + END)[0][0].kind == "dir"


def test_a_checksum_of_signed_characters():
    block = header("größe")
    total = sum(byte - 256 * (byte > 127) for byte in block[:148] + b" " * 8 + block[156:512])
    assert names(block[:148] + b"%06o\0 " % total + block[156:] + END) == ["größe"]


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("./etc/hosts", "etc/hosts"),
        (".//etc//./hosts/", "etc/hosts"),
        ("./", "."),
        ("etc/.hidden", "etc/.hidden"),
        ("..a/b..", "..a/b.."),
    ],
)
def test_a_name_has_one_form(raw, plain):
    ((member, _),) = read(header(raw, kind=tarfile.DIRTYPE) + END)
    assert (member.name, member.climbs) == (plain, False)


@pytest.mark.parametrize("raw", ["/etc/x", "//x", "../x", "a/../../x", "./../x", "a/..", ".."])
def test_a_name_that_climbs(raw):
    ((member, _),) = read(header(raw) + END)
    assert member.climbs


@pytest.mark.parametrize(
    ("name", "kind", "target", "out"),
    [
        ("etc/a", tarfile.SYMTYPE, "../usr/x", False),
        ("etc/a", tarfile.SYMTYPE, "../../x", True),
        ("etc/a", tarfile.SYMTYPE, "b/../../../x", True),
        ("etc/a", tarfile.SYMTYPE, "/usr/x", True),
        ("etc/a", tarfile.LNKTYPE, "./etc/b", False),
        ("etc/a", tarfile.LNKTYPE, "../etc/b", True),
        ("etc/a", tarfile.LNKTYPE, "/etc/b", True),
        ("etc/a", tarfile.REGTYPE, "/etc/b", False),
    ],
)
def test_a_link_that_leads_out(name, kind, target, out):
    ((member, _),) = read(header(name, kind=kind, linkname=target) + END)
    assert member.links_out is out


def test_no_content_follows_a_link_whatever_its_size():
    data = header("l", kind=tarfile.LNKTYPE, linkname="x", size=4096)
    assert names(data + header("after", BODY) + END) == ["l", "after"]


def test_what_is_not_read_is_passed_over():
    data = header("big", bytes(3_000_000)) + header("after", BODY) + END
    found = [(m.name, b.read(4)) for m, b in read_archive(io.BytesIO(data), limit=LIMIT)]
    assert found == [("big", bytes(4)), ("after", BODY[:4])]


def test_a_content_lasts_until_the_next_is_asked_for():
    (_, first), *_ = read_archive(io.BytesIO(header("a", BODY) + END), limit=LIMIT)
    with pytest.raises(ValueError, match="closed"):
        first.read()


def test_an_empty_archive():
    assert read(bytes(10240)) == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0" * 510 + b"\x55\xaa" + b"EFI PART" + bytes(2000), "is a disk image"),
        (bytes(511) + b"\1" + b"EFI PART" + bytes(2000), "is a disk image"),
        (b"hsqs" * 1000, "is not a tar archive"),
        (header("a", BODY), "is cut"),
        (header("a", BODY)[:700], "is cut"),
        (header("a", BODY)[:300], "is cut"),
        (header("a", BODY) + b"x" * 512 + END, "the checksum of a header is wrong"),
        (header("a", BODY) + END + b"x", "has data after the end"),
        (header("a", BODY) + END + bytes(400_000) + b"x", "has data after the end"),
        (changed(header("a"), 124, b"\xff" * 12) + END, "an impossible size"),
        (changed(header("a"), 124, b"\x80\x80" + bytes(10)) + END, "an impossible size"),
        (changed(header("a"), 124, b"12345678901\0") + END, "the size in a header is no number"),
        (changed(header("a"), 124, b"-0000000001\0") + END, "the size in a header is no number"),
        (changed(header("a"), 124, b"7" * 11 + b"\0") + END, "expands to more than 268,435,456"),
        (changed(header("a"), 0, bytes(100)) + END, "a name in it is no name"),
        (changed(header("a", kind=b"2"), 0, b"a") + END, "has no target"),
        (header("l", b"x" * 5000 + b"\0", b"L") + header("a") + END, "is no name"),
        (header("l", b"\0", b"L") + header("a") + END, "is no name"),
        (header("l", bytes(2 << 20), b"L") + header("a") + END, "extension header of 2,097,152"),
        (header("l", b"n\0", b"L") * 9 + header("a") + END, "more than 8 extension headers"),
        (header("l", b"n\0", b"L") + END, "belongs to no member"),
        (pax({"path": b"a\0b"}) + header("a") + END, "is no name"),
        (pax({"size": "-1"}) + header("a") + END, "the size in a header is no number"),
        (pax({"size": "9" * 19}) + header("a") + END, "expands to more than"),
        (pax({"size": "9" * 500}) + header("a") + END, "is no number"),
        (pax({"path": "x"}, b"g") + header("a") + END, "every member the same b'path'"),
        (header("p", b"18 GNU.sparse.\xff=1\n", b"g") + header("a") + END, "every member the same"),
        (pax({"GNU.sparse.map": "1"}, b"g") + header("a") + END, "every member the same"),
        (header("p", b"7 a=b", b"x") + header("a") + END, "a pax header can't be read"),
        (header("p", b"99 a=b\n", b"x") + header("a") + END, "a pax header can't be read"),
        (header("p", b"0 a=b\n", b"x") + header("a") + END, "a pax header can't be read"),
        (header("p", b"6 ab=\n6 =ab\n", b"x") + header("a") + END, "a pax header can't be read"),
        (header("p", b"\xff" * 40, b"x") + header("a") + END, "a pax header can't be read"),
    ],
)
def test_what_can_not_be_read(data, said):
    refused(data, said)


def sparse(size: str, numbers: str, stored: bytes = b"12345") -> bytes:
    return pax({"GNU.sparse.size": size, "GNU.sparse.map": numbers}) + header("a", stored) + END


def sparse_1(body: bytes, size: str = "100") -> bytes:
    about = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": size}
    return pax(about) + header("a", body) + END


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (sparse("100", "50,3,52,2"), "overlapping pieces"),
        (sparse("100", "50,3,10,2"), "overlapping pieces"),
        (sparse("52", "0,2,50,3"), "other pieces than it says"),
        (sparse("100", "0,2,50,2"), "other pieces than it says"),
        (sparse("100", "0,5,50"), "a map of holes is cut"),
        (sparse("100", "0,-5"), "the map in a header is no number"),
        (sparse("100", ""), "the map in a header is no number"),
        (sparse_1(b""), "has no map"),
        (sparse_1(b"1\n0\n"), "has no map"),
        (sparse_1(blocks(b"1\n0\n5\n") + b"1234"), "other pieces than it says"),
        (sparse_1(blocks(b"9\n" * 5)), "has no map"),
        (sparse_1(blocks(b"x\n" * 5)), "the map in a header is no number"),
        (sparse_1(b"1" * 600), "has no map"),
        (sparse_1(b"1\n0\n5\n" + b"12345", size=""), "the size in a header is no number"),
        (changed(header("a", kind=b"S"), 482, b"\1") + (b"1" * 504 + b"\1" * 8) * 4000, "holes"),
    ],
)
def test_a_map_of_holes_that_lies(data, said):
    refused(data, said)


def test_holes_of_a_file_that_ends_with_one():
    assert read(sparse("100", "2,5"))[0][1] == b"\0\0" + b"12345" + bytes(93)
    assert read(sparse_1(blocks(b"1\n2\n5\n") + b"12345"))[0][1] == b"\0\0" + b"12345" + bytes(93)


def test_a_hole_of_a_terabyte_is_nothing_until_it_is_read():
    """The lastlog of an old system is such a file."""
    data = sparse(str(1 << 40), "0,5")
    assert next(read_archive(io.BytesIO(data), limit=LIMIT))[0].size == 1 << 40
    refused(data, "expands to more than 1,048,576 bytes", limit=1 << 20)


def test_too_many_members():
    data = header("a") * 11 + END
    assert len(read(data, members=11)) == 11
    refused(data, "has more than 10 members", members=10)


@pytest.mark.parametrize("cut", [1, 8, 9, 200, 5000])
def test_a_cut_after_the_last_member_counts_too(cut):
    data = gzip.compress(header("a", os.urandom(20_000)) + bytes(10240))
    assert len(read(data)) == 1
    with pytest.raises(FormatError):
        read(data[:-cut])


def test_damage_after_the_last_member_counts_too():
    data = gzip.compress(header("a", BODY) + END)
    with pytest.raises(FormatError):
        read(data[:-6] + bytes([data[-6] ^ 1]) + data[-5:])


def test_extension_headers_without_end_are_refused(monkeypatch):
    monkeypatch.setattr(archive, "_MAX_ALL_EXTENSIONS", 100_000)
    long = header("././@LongLink", b"a" * 3000 + b"\0", b"L")
    assert len(read((long + header("x")) * 30 + END)) == 30
    refused((long + header("x")) * 40 + END, "more than 100,000 bytes of extension headers")


def test_a_bomb_is_stopped():
    bomb = gzip.compress(header("zeros", bytes(40 << 20)) + END)
    assert len(bomb) < 100_000
    refused(bomb, "expands to more than", limit=1 << 20)


def test_a_bomb_after_the_end_is_stopped():
    refused(gzip.compress(bytes(1024) + bytes(40 << 20)), "expands to more than", limit=1 << 20)


def test_memory_does_not_grow_with_the_archive():
    data = gzip.compress(b"".join(header(f"f{n}", b"x") for n in range(20_000)) + END, 1)
    tracemalloc.start()
    for _ in read_archive(io.BytesIO(data), limit=LIMIT):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_damage_anywhere_raises_nothing_else():
    data = bytearray(
        pax({"path": "a"}) + header("l", b"b\0", b"L") + header("b", BODY) + sparse("100", "2,5")
    )
    for at in range(len(data) - 1024):
        for value in (0, 0x30, 0x39, 0xFF):
            damaged = data.copy()
            damaged[at] = value
            with contextlib.suppress(FormatError):
                read(bytes(damaged))


letters = st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
parts = st.text(letters, min_size=1, max_size=120).filter(lambda part: part not in {".", ".."})
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
contents = st.one_of(
    st.tuples(st.just(tarfile.REGTYPE), st.binary(max_size=1500), st.just("")),
    st.tuples(st.just(tarfile.DIRTYPE), st.just(b""), st.just("")),
    st.tuples(st.just(tarfile.SYMTYPE), st.just(b""), paths),
    st.tuples(st.just(tarfile.LNKTYPE), st.just(b""), paths),
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([GNU, PAX]), st.lists(st.tuples(paths, contents), max_size=6))
def test_it_reads_whatever_another_program_writes(form, members):
    kinds = {b"0": "file", b"1": "hardlink", b"2": "symlink", b"5": "dir"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, (kind, content, target) in members:
            made = info(name, kind, linkname=target, size=len(content))
            archive.addfile(made, io.BytesIO(content))
    assert [(m.name, m.kind, m.target, content) for m, content in read(out.getvalue())] == [
        (name, kinds[kind], target, content) for name, (kind, content, target) in members
    ]
