from __future__ import annotations

import os
import sqlite3
import threading

import msgspec
import pytest

from mirror.catalog import Catalog, SourceMemory
from mirror.errors import AlreadyExists, NotFound, StoreError
from mirror.model import BootSource, Selection


@pytest.fixture
def catalog(tmp_path):
    opened = Catalog(tmp_path / "catalog.sqlite")
    yield opened
    opened.close()


def test_sources_come_back_as_they_were_by_priority(catalog):
    low = BootSource(name="a", url="http://a/", fingerprints=("F" * 40,))
    high = BootSource(name="b", url="http://b/", priority=5)
    catalog.add_source(low)
    catalog.add_source(high)
    assert catalog.sources() == [high, low]


def test_a_source_of_the_same_name_is_refused(catalog):
    catalog.add_source(BootSource(name="a", url="http://a/"))
    with pytest.raises(AlreadyExists, match="'a'"):
        catalog.add_source(BootSource(name="a", url="http://other/"))
    assert [source.url for source in catalog.sources()] == ["http://a/"]


def test_removing_a_source_forgets_it(catalog):
    catalog.add_source(BootSource(name="a", url="http://a/"))
    catalog.remember({"a": SourceMemory(settled="x")})
    catalog.remove_source("a")
    assert catalog.sources() == []
    assert catalog.memory("a") == SourceMemory()
    with pytest.raises(NotFound, match="'a'"):
        catalog.remove_source("a")


def test_selections_are_numbered_and_keep_their_numbers(catalog):
    first = catalog.add_selection(Selection(0, ("arch=amd64",)))
    second = catalog.add_selection(Selection(0, ("arch=arm64",), source="a", keep=1))
    catalog.remove_selection(first.id)
    assert catalog.selections() == [second]
    assert second.id != first.id
    with pytest.raises(NotFound):
        catalog.remove_selection(first.id)


def test_memory_survives_reopening(tmp_path):
    memory = SourceMemory(validators=msgspec.Raw(b'{"etag":"x"}'), settled="key")
    catalog = Catalog(tmp_path / "catalog.sqlite")
    catalog.remember({"a": memory})
    catalog.remember({"a": memory, "b": SourceMemory()})
    catalog.close()
    again = Catalog(tmp_path / "catalog.sqlite")
    assert bytes(again.memory("a").validators) == b'{"etag":"x"}'
    assert again.memory("a").settled == "key"
    again.close()


def test_a_second_process_may_write_meanwhile(tmp_path):
    file = tmp_path / "catalog.sqlite"
    first, second = Catalog(file), Catalog(file)
    threads = [
        threading.Thread(
            target=lambda c=c, n=n: [
                c.add_selection(Selection(0, (f"a={n}{i}",))) for i in range(20)
            ]
        )
        for n, c in enumerate((first, second))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(first.selections()) == 40
    first.close()
    second.close()


def test_a_damaged_file_is_named(tmp_path):
    file = tmp_path / "catalog.sqlite"
    file.write_bytes(b"this is no database, but long enough to be taken for one" * 20)
    with pytest.raises(StoreError, match=r"catalog\.sqlite"):
        Catalog(file)


def test_a_damaged_row_is_an_error_not_a_traceback(tmp_path):
    file = tmp_path / "catalog.sqlite"
    catalog = Catalog(file)
    catalog.add_source(BootSource(name="a", url="http://a/"))
    catalog.close()
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE sources SET document = '{'")
    raw.close()
    catalog = Catalog(file)
    with pytest.raises(StoreError, match=r"catalog\.sqlite"):
        catalog.sources()
    catalog.close()


def test_only_our_user_may_read_it(tmp_path):
    previous = os.umask(0o022)
    try:
        catalog = Catalog(tmp_path / "catalog.sqlite")
        catalog.add_source(BootSource(name="a", url="http://a/"))
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
        catalog.close()
    finally:
        os.umask(previous)
    assert "catalog.sqlite" in modes
    assert set(modes.values()) == {0o600}
