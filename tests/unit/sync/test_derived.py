"""Files that plugins made come into the store: nothing that is said of them is believed."""

from __future__ import annotations

import hashlib
import os

import pytest

from mirror.api import Derived
from mirror.errors import DerivedRefused
from mirror.isolation.workshop import Inspected
from mirror.model import Item, Version
from mirror.store.blobs import LocalBlobs
from mirror.sync.derived import store_derived

VERSION = Version("1", (Item("squashfs", "squashfs", "a/squashfs", "0" * 64, 1),))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "scratch" / "taken"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"content")
    (tmp_path / "outside").write_bytes(b"outside")
    return folder


@pytest.fixture
def store(tmp_path, folder):
    blobs = LocalBlobs(tmp_path / "blobs")

    def take(*derived: Derived) -> tuple[Item, ...]:
        return store_derived(Inspected((), derived, folder), VERSION, blobs, "plugin 'x' failed")

    take.blobs = blobs
    return take


def test_the_bytes_that_were_hashed_are_stored(store, folder):
    source = (folder / "file").open("r+b")  # the plugin has it open still
    inode = os.fstat(source.fileno()).st_ino
    [item] = store(Derived("made", "list", "a/made", folder / "file", {"x": 1}))
    sha256 = hashlib.sha256(b"content").hexdigest()
    assert item == Item("made", "list", "a/made", sha256, 7, {"x": 1}, derived=True)
    blob = store.blobs.path(sha256)
    source.write(b"CHANGED")
    source.close()
    assert blob.read_bytes() == b"content"
    assert (blob.stat().st_ino != inode, blob.stat().st_mode & 0o777) == (True, 0o444)
    assert list(folder.parent.iterdir()) == []


def test_nothing_derived_is_nothing_stored(tmp_path):
    assert store_derived(Inspected(()), VERSION, LocalBlobs(tmp_path / "b"), "x") == ()
    assert not (tmp_path / "b").exists()


def test_a_link_within_the_directory_is_no_file(store, folder):
    (folder / "link").symlink_to(folder / "file")
    refused(store, folder / "link")


def test_a_link_to_a_directory_within_is_as_good(store, folder):
    (folder / "real").mkdir()
    (folder / "real" / "x").write_bytes(b"x")
    (folder / "link").symlink_to(folder / "real")
    assert store(Derived("made", "list", "a/made", folder / "link" / "x"))


def test_what_is_no_file_below_the_directory(store, folder, tmp_path):
    (folder / "link").symlink_to(tmp_path / "outside")
    refused(store, folder / "link")


def test_a_folder_on_the_way_that_leads_out(store, folder, tmp_path):
    (folder / "out").symlink_to(tmp_path)
    refused(store, folder / "out" / "outside")


def test_a_pipe(store, folder):
    os.mkfifo(folder / "pipe")
    refused(store, folder / "pipe")


@pytest.mark.parametrize("name", ["", "missing", "..", "../../outside", "a\0b"])
def test_other_names(store, folder, name):
    refused(store, folder / name)


def refused(store, file) -> None:
    with pytest.raises(
        DerivedRefused, match="plugin 'x' failed: derived item 'made' is not a file"
    ):
        store(Derived("made", "list", "a/made", file))
    assert not (store.blobs.root / "sha256").exists()
    assert not list(file.parents[0].glob("*.copy"))


@pytest.mark.parametrize(
    ("name", "ftype", "path", "said"),
    [
        ("made", "list", "../x", "unsafe path of an item: '../x'"),
        ("made", "list", "/etc/x", "unsafe path of an item: '/etc/x'"),
        ("made", "list", "streams/v1/index.json", "unsafe path of an item"),
        ("squashfs", "list", "a/made", "there is an item 'squashfs' already"),
        ("", "list", "a/made", "unusable name of a derived item: ''"),
        ("a\nb", "list", "a/made", "unusable name of a derived item: 'a"),
        ("made", "", "a/made", "unusable name of a derived item: ''"),
        ("made", "x" * 300, "a/made", "unusable name of a derived item: 'x"),
    ],
)
def test_names_and_paths(store, folder, name, ftype, path, said):
    with pytest.raises(DerivedRefused, match="plugin 'x' failed: ") as caught:
        store(Derived(name, ftype, path, folder / "file"))
    assert said in caught.value.what
    assert not folder.exists()


def test_two_of_one_name(store, folder):
    made = Derived("made", "list", "a/made", folder / "file")
    with pytest.raises(DerivedRefused, match="there is an item 'made' already"):
        store(made, made)
