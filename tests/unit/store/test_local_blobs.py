from __future__ import annotations

import errno
import hashlib
import multiprocessing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mirror.errors import NoSpace, StoreError
from mirror.model import FileRef
from mirror.store.blobs import LocalBlobs
from mirror.store.durable import append_line, disk_errors, write_atomic
from mirror.store.space import free_bytes, require_space

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mirror.store import Store
    from mirror.store.blobs import PrunableBlobs

DATA = b"a kernel"
SHA256 = hashlib.sha256(DATA).hexdigest()


def test_adopt_moves_the_file_to_its_digest(store: Store, arrive: Callable[[bytes], str]) -> None:
    blobs: PrunableBlobs = store.blobs
    sha256 = arrive(DATA)
    assert not blobs.has(sha256)
    assert blobs.size(sha256) is None
    blobs.adopt(store.incoming.partial(sha256), sha256)
    path = store.dir.blobs / "sha256" / sha256[:2] / sha256
    assert blobs.path(sha256) == path
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o444
    assert (blobs.has(sha256), blobs.size(sha256)) == (True, len(DATA))
    assert list(store.dir.incoming.iterdir()) == []


def test_several_files_are_adopted_together(store: Store, arrive: Callable[[bytes], str]) -> None:
    digests = [arrive(data) for data in (DATA, b"another", b"a third")]
    store.blobs.adopt_all([(store.incoming.partial(each), each) for each in digests])
    assert set(store.blobs.hashes()) == set(digests)
    assert list(store.dir.incoming.iterdir()) == []
    store.blobs.adopt_all([])


def test_adopting_again_mends_a_damaged_blob(store: Store, arrive: Callable[[bytes], str]) -> None:
    store.blobs.adopt(store.incoming.partial(arrive(DATA)), SHA256)
    path = store.blobs.path(SHA256)
    path.chmod(0o644)
    path.write_bytes(b"A kernel")
    store.blobs.adopt(store.incoming.partial(arrive(DATA)), SHA256)
    assert path.read_bytes() == DATA
    assert list(store.dir.incoming.iterdir()) == []


def test_a_reader_keeps_the_blob_that_it_has_open(
    store: Store, arrive: Callable[[bytes], str]
) -> None:
    store.blobs.adopt(store.incoming.partial(arrive(DATA)), SHA256)
    with store.blobs.path(SHA256).open("rb") as reader:
        store.blobs.adopt(store.incoming.partial(arrive(DATA)), SHA256)
        store.blobs.delete(SHA256)
        assert reader.read() == DATA
    assert not store.blobs.has(SHA256)


def test_add_bytes_is_the_same_blob(store: Store) -> None:
    assert store.blobs.add_bytes(DATA) == FileRef(SHA256, len(DATA))
    assert store.blobs.path(SHA256).read_bytes() == DATA
    assert store.blobs.path(SHA256).stat().st_mode & 0o777 == 0o444
    before = store.blobs.path(SHA256).stat().st_ino
    assert store.blobs.add_bytes(DATA) == FileRef(SHA256, len(DATA))
    assert store.blobs.path(SHA256).stat().st_ino == before


def test_add_bytes_mends_a_damaged_blob(store: Store) -> None:
    store.blobs.add_bytes(DATA)
    path = store.blobs.path(SHA256)
    path.chmod(0o644)
    path.write_bytes(b"A kernel")
    store.blobs.add_bytes(DATA)
    assert path.read_bytes() == DATA


def test_hashes_lists_blobs_only(store: Store) -> None:
    refs = {store.blobs.add_bytes(b"%d" % number).sha256 for number in range(20)}
    (store.blobs.path(SHA256).parent).mkdir(exist_ok=True)
    (store.blobs.path(SHA256).parent / f".{SHA256}.abcd.tmp").write_bytes(b"")
    assert set(store.blobs.hashes()) == refs


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "none")
    assert list(blobs.hashes()) == []
    assert not blobs.has(SHA256)


def test_delete_of_what_is_not_there(store: Store) -> None:
    store.blobs.delete(SHA256)
    assert not store.blobs.has(SHA256)


@pytest.mark.parametrize(
    "text", ["", "ab", SHA256.upper(), SHA256 + "\n", SHA256[:-1] + "/", "../" + SHA256[3:]]
)
def test_what_is_no_digest_makes_no_path(store: Store, text: str) -> None:
    for refuse in (store.blobs.has, store.blobs.size, store.blobs.delete, store.incoming.partial):
        with pytest.raises(StoreError, match="not a sha256"):
            refuse(text)


def _adopt_often(root: Path, work: Path) -> None:
    blobs = LocalBlobs(root)
    for turn in range(40):
        for number in range(5):
            data = b"%d" % number * 1000
            file = work / f"{turn}-{number}"
            file.write_bytes(data)
            blobs.adopt(file, hashlib.sha256(data).hexdigest())
            blobs.add_bytes(data)


def test_two_processes_adopt_the_same_blobs(store: Store, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    children = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        arguments = (store.dir.blobs, tmp_path / name)
        children.append(spawn.Process(target=_adopt_often, args=arguments))
        children[-1].start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    for sha256 in store.blobs.hashes():
        assert hashlib.sha256(store.blobs.path(sha256).read_bytes()).hexdigest() == sha256
    assert len(list(store.blobs.files())) == 5


# --- writing -------------------------------------------------------------------------------------


def test_write_atomic_leaves_only_the_file(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        write_atomic(tmp_path / "file", data, 0o640)
        assert (tmp_path / "file").read_bytes() == data
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_write_atomic_over_a_directory_leaves_no_temp_file(tmp_path: Path) -> None:
    (tmp_path / "taken" / "full").mkdir(parents=True)
    with pytest.raises(StoreError):
        write_atomic(tmp_path / "taken", b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_append_line_begins_a_line_of_its_own_after_a_torn_one(tmp_path: Path) -> None:
    append_line(tmp_path / "log", b"one")
    with (tmp_path / "log").open("ab") as file:
        file.write(b"tor")
    append_line(tmp_path / "log", b"two")
    assert (tmp_path / "log").read_bytes() == b"one\ntor\ntwo\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_a_quota_and_a_size_limit_are_no_space(tmp_path: Path, number: int) -> None:
    with pytest.raises(NoSpace, match="blob"), disk_errors(tmp_path / "blob"):
        raise OSError(number, "full")


def test_require_space_counts_what_must_stay_free(tmp_path: Path) -> None:
    free = free_bytes(tmp_path)
    require_space(tmp_path, free // 2, 0)
    with pytest.raises(NoSpace, match="are needed"):
        require_space(tmp_path, free * 2, 0)
    with pytest.raises(NoSpace, match="are to stay free"):
        require_space(tmp_path, 0, free * 2)


def test_incoming_is_swept_by_age(store: Store, arrive: Callable[[bytes], str]) -> None:
    arrive(DATA)
    with store.incoming.scratch() as scratch:
        (scratch / "file").write_bytes(b"x")
        later = datetime.now(UTC) + timedelta(days=2)
        assert store.incoming.sweep(timedelta(days=3), now=later) == []
        assert store.incoming.sweep(timedelta(days=1)) == []
        swept = store.incoming.sweep(timedelta(days=1), now=later)
        assert sorted(swept) == sorted([store.incoming.partial(SHA256), scratch])
        assert list(store.dir.incoming.iterdir()) == []


def test_scratch_goes_when_it_is_done(store: Store) -> None:
    with store.incoming.scratch() as scratch:
        (scratch / "folder").mkdir()
        assert scratch.parent == store.dir.incoming
    assert not scratch.exists()
