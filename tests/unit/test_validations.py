"""What plugins found, kept in the catalogue by the content of the version."""

from __future__ import annotations

import sqlite3

import msgspec
import pytest

from mirror.catalog import Catalog
from mirror.catalog.validations import Validation, content_digest, short
from mirror.model import Finding, Item, Severity, Version

ERROR = Finding(Severity.ERROR, "ubuntu-x", "boot-kernel", "is wrong")
NOTE = Finding(Severity.NOTE, "ubuntu-y", "", "is large")


@pytest.fixture
def catalog(tmp_path):
    catalog = Catalog(tmp_path / "catalog.sqlite")
    yield catalog
    catalog.close()


def test_they_are_found_by_product_version_and_content(catalog):
    first = Validation("p", "1", "d1", "ubuntu=1", (NOTE,))
    other = Validation("p", "2", "d2", "ubuntu=1")
    elsewhere = Validation("q", "1", "d1", "centos=1", (ERROR,))
    catalog.validations.record([first, other, elsewhere])
    assert catalog.validations.of({"p"}) == {first.key: first, other.key: other}
    assert catalog.validations.of([]) == {}
    assert catalog.validations.of({"p", "q", "r"}) == {
        each.key: each for each in (first, other, elsewhere)
    }


def test_more_products_than_one_query_may_name(catalog):
    many = [Validation(f"p{n}", "1", "d", "ubuntu=1") for n in range(1200)]
    catalog.validations.record(many)
    assert len(catalog.validations.of({each.product for each in many})) == 1200


def test_the_last_judge_counts(catalog):
    old = Validation("p", "1", "d", "ubuntu=1", (ERROR,))
    catalog.validations.record([old])
    assert catalog.validations.condemned({"ubuntu=1"}) == [old]
    assert catalog.validations.judged({"ubuntu=1"}) == {short(*old.key)}
    new = msgspec.structs.replace(old, judge="ubuntu=2", findings=(NOTE,))
    catalog.validations.record([new])
    assert catalog.validations.of({"p"}) == {new.key: new}
    assert catalog.validations.condemned({"ubuntu=1", "ubuntu=2"}) == []
    assert catalog.validations.judged({"ubuntu=1"}) == frozenset()
    assert catalog.validations.judged({"ubuntu=2"}) == {short(*new.key)}


def test_the_digest_is_of_what_came_from_the_source():
    squashfs = Item("squashfs", "squashfs", "a/squashfs", "a" * 64, 1)
    kernel = Item("boot-kernel", "boot-kernel", "a/kernel", "b" * 64, 1)
    made = Item("list", "list", "a/list", "c" * 64, 1, derived=True)
    digest = content_digest(Version("1", (squashfs, kernel)))
    assert digest == content_digest(Version("2", (kernel, made, squashfs), {"x": 1}))
    assert digest != content_digest(Version("1", (squashfs,)))
    swapped = (
        msgspec.structs.replace(squashfs, sha256="b" * 64),
        msgspec.structs.replace(kernel, sha256="a" * 64),
    )
    assert digest != content_digest(Version("1", swapped))


def test_an_older_catalogue_forgets_what_it_could_not_name(tmp_path):
    file = tmp_path / "catalog.sqlite"
    old = Catalog(file)
    old.resources.add("snapshot", [("p", "os", "r", "a", "s", "l", "{}")], keep=())
    old.close()
    with sqlite3.connect(file) as raw:
        raw.execute("DROP TABLE validations")
        raw.execute("CREATE TABLE validations (key TEXT PRIMARY KEY, findings TEXT)")
        raw.execute("INSERT INTO validations VALUES ('k', '[]')")
        raw.execute("PRAGMA user_version = 3")
    raw.close()
    catalog = Catalog(file)
    assert catalog.validations.of({"p"}) == {}
    assert not catalog.resources.has("snapshot")  # it is made anew, with what findings go by
    found = Validation("p", "1", "d", "ubuntu=1", (ERROR, NOTE))
    catalog.validations.record([found])
    catalog.close()
    again = Catalog(file)
    assert again.validations.of({"p"}) == {found.key: found}
    again.close()


def test_a_catalogue_made_before_versions_could_go_keeps_what_it_knows(tmp_path):
    file = tmp_path / "catalog.sqlite"
    found = Validation("p", "1", "d", "ubuntu=1", (NOTE,))
    old = Catalog(file)
    old.validations.record([found])
    old.close()
    with sqlite3.connect(file) as raw:
        raw.execute("ALTER TABLE validations DROP COLUMN gone")
        raw.execute("PRAGMA user_version = 4")
    raw.close()
    catalog = Catalog(file)
    assert catalog.validations.of({"p"}) == {found.key: found}
    catalog.validations.note_gone(set(), "s1")
    catalog.validations.prune("s2")
    assert catalog.validations.of({"p"}) == {}
    catalog.close()


def test_what_is_gone_is_dropped_once_no_snapshot_can_have_it(catalog):
    stays, goes = Validation("p", "2", "d", "ubuntu=1"), Validation("p", "1", "d", "ubuntu=1")
    catalog.validations.record([stays, goes])
    catalog.validations.note_gone({("p", "2")}, "s3")
    catalog.validations.note_gone({("p", "2")}, "s4")  # it is gone since s3 still
    catalog.validations.prune("s3")  # snapshot s3 may have it
    assert catalog.validations.of({"p"}).keys() == {stays.key, goes.key}
    catalog.validations.prune("s4")
    assert catalog.validations.of({"p"}).keys() == {stays.key}


def test_what_comes_back_stays(catalog):
    found = Validation("p", "1", "d", "ubuntu=1")
    catalog.validations.record([found])
    catalog.validations.note_gone(set(), "s1")
    catalog.validations.note_gone({("p", "1")}, "s2")
    catalog.validations.prune("s9")
    assert catalog.validations.of({"p"}).keys() == {found.key}
    catalog.validations.note_gone(set(), "s3")
    catalog.validations.record([found])  # looked at again: it is there
    catalog.validations.prune("s9")
    assert catalog.validations.of({"p"}).keys() == {found.key}


def test_an_item_that_was_stored_without_the_mark_is_read():
    stored = b'{"name":"a","ftype":"a","path":"p","sha256":"d","size":1,"attributes":{}}'
    item = msgspec.json.decode(stored, type=Item)
    assert item == Item("a", "a", "p", "d", 1)
    assert msgspec.json.encode(item) == stored.replace(b',"attributes":{}', b"")
