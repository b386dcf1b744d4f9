"""A file while it is received."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

import pytest

from mirror.errors import StoreError
from mirror.sync.partial import Partial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 5000


def opened(path: Path, limit: int = len(DATA)) -> Partial:
    partial = Partial(path)
    partial.open(limit)
    return partial


def test_what_is_appended_is_there_and_hashed(tmp_path: Path) -> None:
    partial = opened(tmp_path / "file")
    chunks = [DATA[start : start + 700] for start in range(0, len(DATA), 700)]
    partial.append(chunks, len(DATA))
    partial.close()
    assert (tmp_path / "file").read_bytes() == DATA
    assert partial.hexdigest() == hashlib.sha256(DATA).hexdigest()
    assert partial.size == len(DATA)


def test_it_goes_on_where_another_stopped(tmp_path: Path) -> None:
    first = opened(tmp_path / "file")
    first.append([DATA[:1000]], 1000)
    first.note_validator('"etag"')
    second = opened(tmp_path / "file")
    assert (second.size, second.validator) == (1000, '"etag"')
    second.append([DATA[1000:]], len(DATA) - 1000)
    assert second.hexdigest() == hashlib.sha256(DATA).hexdigest()


def test_a_note_without_bytes_is_not_believed(tmp_path: Path) -> None:
    first = opened(tmp_path / "file")
    first.note_validator('"etag"')
    assert opened(tmp_path / "file").validator == ""


def test_starting_over_drops_everything(tmp_path: Path) -> None:
    partial = opened(tmp_path / "file")
    partial.append([b"wrong"], 5)
    partial.note_validator('"etag"')
    partial.restart()
    partial.append([DATA], len(DATA))
    assert (tmp_path / "file").read_bytes() == DATA
    assert partial.hexdigest() == hashlib.sha256(DATA).hexdigest()
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_an_abandoned_file_is_kept_unless_it_is_empty(tmp_path: Path) -> None:
    full, empty = opened(tmp_path / "full"), opened(tmp_path / "empty")
    full.append([b"bytes"], 5)
    full.abandon()
    empty.abandon()
    assert [entry.name for entry in tmp_path.iterdir()] == ["full"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="file"):
        opened(tmp_path / "file")
    assert not (tmp_path / "elsewhere").exists()


class Announced(list[bytes]):
    """Chunks that tell when hashing them begins."""

    def __init__(self, chunks: list[bytes]) -> None:
        super().__init__(chunks)
        self.begun = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        self.begun.set()
        return super().__iter__()


def test_closing_waits_for_an_append_in_another_thread(tmp_path: Path) -> None:
    partial = opened(tmp_path / "file")
    chunks = Announced([DATA] * 20)
    appending = threading.Thread(target=partial.append, args=(chunks, 20 * len(DATA)))
    appending.start()
    chunks.begun.wait()
    partial.close()
    assert (tmp_path / "file").stat().st_size == 20 * len(DATA)
    partial.close()
    appending.join()
