from __future__ import annotations

import pytest

from mirror.errors import BlobCorrupt, BlobMissing, ManifestUnreadable
from mirror.model import Item, Version
from mirror.publish.manifests import (
    MAX_SIZE,
    Package,
    PackageChange,
    compare_packages,
    manifest_of,
    parse_packages,
    read_packages,
)
from mirror.store.blobs import LocalBlobs

UBUNTU = b"""adduser\t3.137ubuntu1
libc6:amd64\t2.39-0ubuntu8.4
snap:core22\tlatest/stable\t1748
zlib1g:amd64\t1:1.3.dfsg-3.1ubuntu2.1
"""


def test_the_manifest_of_ubuntu() -> None:
    assert parse_packages(UBUNTU, "m") == {
        "adduser": ("3.137ubuntu1",),
        "libc6:amd64": ("2.39-0ubuntu8.4",),
        "snap:core22": ("latest/stable 1748",),
        "zlib1g:amd64": ("1:1.3.dfsg-3.1ubuntu2.1",),
    }


def test_spaces_empty_lines_and_line_ends_do_not_matter() -> None:
    assert parse_packages(b"bash 5.2-1\r\n\n  dash   0.5-1", "m") == {
        "bash": ("5.2-1",),
        "dash": ("0.5-1",),
    }


def test_the_manifest_of_centos() -> None:
    lines = b"""kernel-4.18.0-348.el8.x86_64
kernel-4.18.0-240.el8.x86_64
glibc-common-2.28-164.el8.x86_64
glibc-2.28-164.el8.i686
tzdata-2021e-1.el8.noarch
gpg-pubkey-8483c65d-5ccc5b19
"""
    assert parse_packages(lines, "m") == {
        "kernel.x86_64": ("4.18.0-240.el8", "4.18.0-348.el8"),
        "glibc-common.x86_64": ("2.28-164.el8",),
        "glibc.i686": ("2.28-164.el8",),
        "tzdata.noarch": ("2021e-1.el8",),
        "gpg-pubkey": ("8483c65d-5ccc5b19",),
    }


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"bash\t5.2\x1b[31m",
        b"ba\x00sh\t5.2",
        "ba\u202esh\t5.2".encode(),
        b"bash\t" + b"5" * 2000,
        b"a word too many here",
        b"bash",
        b'{"packages": ["bash"]}',
        b"\n".join(b"p%d\t1" % number for number in range(60_000)),
    ],
)
def test_what_is_no_list_of_packages(data: bytes) -> None:
    with pytest.raises(ManifestUnreadable) as caught:
        parse_packages(data, "noble/manifest")
    assert "noble/manifest" in caught.value.what
    assert caught.value.what.isprintable()


def test_the_file_is_read_with_its_digest_checked(tmp_path) -> None:
    blobs = LocalBlobs(tmp_path)
    ref = blobs.add_bytes(UBUNTU)
    item = Item("manifest", "manifest", "noble/manifest", ref.sha256, ref.size)
    assert len(read_packages(blobs, item)) == 4
    path = blobs.path(ref.sha256)
    path.chmod(0o644)
    path.write_bytes(UBUNTU.replace(b"3.137", b"3.138"))
    with pytest.raises(BlobCorrupt):
        read_packages(blobs, item)
    path.unlink()
    with pytest.raises(BlobMissing):
        read_packages(blobs, item)
    with pytest.raises(ManifestUnreadable, match="at most"):
        read_packages(blobs, Item("m", "m", "m", ref.sha256, MAX_SIZE + 1))


def test_which_file_it_is() -> None:
    def item(name: str, ftype: str) -> Item:
        return Item(name, ftype, name, "", 0)

    by_name = Version("1", (item("squashfs", "squashfs"), item("manifest", "manifest")))
    by_type = Version("1", (item("root.manifest", "manifest"),))
    assert manifest_of(by_name).name == "manifest"
    assert manifest_of(by_type).name == "root.manifest"
    assert manifest_of(Version("1", (item("shim-signed", "archive.tar.xz"),))) is None


def test_what_differs() -> None:
    old = {"gone": ("1",), "same": ("1",), "newer": ("1",), "kernel": ("1", "2")}
    new = {"come": ("1",), "same": ("1",), "newer": ("2",), "kernel": ("2", "3")}
    found = compare_packages("noble", ("v1", old), ("v2", new))
    assert found.added == (Package("come", "1"),)
    assert found.removed == (Package("gone", "1"),)
    assert found.changed == (
        PackageChange("kernel", "1, 2", "2, 3"),
        PackageChange("newer", "1", "2"),
    )
    assert (found.same, found.old, found.new) == (1, "v1", "v2")
