from __future__ import annotations

import gzip
import io
import tarfile
import time

import pytest

from mirror.formats import FormatError, check_content, decompressed, read_archive
from mirror.testing import spoil


@pytest.fixture
def put(tmp_path):
    def _put(data):
        file = tmp_path / "spoilt"
        file.write_bytes(data)
        return file

    return _put


@pytest.mark.parametrize("data", [spoil.web_page(), spoil.zeros(5000), spoil.empty()])
def test_what_is_no_content_at_all(put, data):
    with pytest.raises(FormatError):
        check_content(put(data))


def test_cut():
    assert spoil.cut(b"abcdef") == b"abc"
    assert spoil.cut(b"abcdef", 1) == b"a"


def test_noise_is_no_text():
    with pytest.raises(UnicodeDecodeError):
        spoil.scrambled(100).decode()
    assert len(spoil.scrambled(100)) == 100


def test_another_encoding():
    assert spoil.utf16("bash\t5\n").decode("utf-16") == "bash\t5\n"
    with pytest.raises(UnicodeDecodeError):
        spoil.utf16("bash\t5\n").decode()


def test_a_bomb_is_small_valid_and_quickly_made(put):
    begun = time.process_time()
    bomb = spoil.gzip_bomb(4 << 30)
    assert time.process_time() - begun < 5
    assert len(bomb) < 5_000_000
    with pytest.raises(FormatError, match="expands to more than"):
        _read_all(put(bomb))


def _read_all(file):
    with decompressed(file, limit=64 << 20) as stream:
        while stream.read(1 << 20):
            pass


@pytest.mark.parametrize("size", [0, 10, (32 << 20) + 7])
def test_a_bomb_expands_to_what_was_asked_for(size):
    expanded = gzip.decompress(spoil.gzip_bomb(size, head=b"head" if size else b""))
    assert len(expanded) == size
    assert expanded.startswith(b"head") == bool(size)


@pytest.mark.parametrize(
    ("name", "kind", "target", "about"),
    [
        ("../../etc/passwd", "file", "", {"climbs": True}),
        ("/etc/passwd", "file", "", {"climbs": True}),
        ("etc/alternatives/sh", "symlink", "../../../bin/sh", {"links_out": True}),
        ("shadow", "hardlink", "../etc/shadow", {"links_out": True}),
        ("dev/sda", "device", "", {"kind": "device"}),
    ],
)
def test_a_tar_with_what_should_not_be_there(put, name, kind, target, about):
    data = spoil.tar_with({"good": b"1"}, name, kind, target=target)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["good", name]
    members = {member.name: member for member, _ in read_archive(put(data), limit=1 << 20)}
    planted = next(member for good, member in members.items() if good != "good")
    assert {key: getattr(planted, key) for key in about} == about
