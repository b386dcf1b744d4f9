from __future__ import annotations

from stream_builders import item, product

from mirror.errors import PathConflict
from mirror.model import Version
from mirror.simplestreams.conflicts import conflicting_paths, drop_conflicts


def test_kernel_flavours_may_share_a_file():
    one = product("one", Version("1", (item("n/1/squashfs"), item("n/1/ga/boot-kernel"))))
    two = product("two", Version("1", (item("n/1/squashfs"), item("n/1/hwe/boot-kernel"))))
    assert conflicting_paths([one, two]) == set()
    assert drop_conflicts([one, two]) == ((one, two), ())


def test_one_path_with_two_contents_costs_both_versions_and_no_more():
    one = product("one", Version("1", (item("p/squashfs"),)), Version("2", (item("q/squashfs"),)))
    two = product("two", Version("7", (item("p/squashfs", "other"),)))
    kept, rejected = drop_conflicts([one, two])
    assert [[v.name for v in p.versions] for p in kept] == [["2"], []]
    assert [(r.product, r.version) for r in rejected] == [("one", "1"), ("two", "7")]
    assert all(isinstance(r.error, PathConflict) for r in rejected)
    assert "'p/squashfs'" in rejected[0].error.what


def test_one_digest_with_two_sizes_is_a_conflict():
    one = product("one", Version("1", (item("p/squashfs", size=5),)))
    two = product("two", Version("1", (item("p/squashfs", size=6),)))
    assert conflicting_paths([one, two]) == {"p/squashfs"}


def test_a_path_can_not_be_a_file_and_a_folder():
    one = product("one", Version("1", (item("a/b"),)))
    two = product("two", Version("1", (item("a/b/c/d"),)))
    three = product("three", Version("1", (item("a/bc"),)))
    kept, rejected = drop_conflicts([one, two, three])
    assert [p.name for p in kept if p.versions] == ["three"]
    assert {r.product for r in rejected} == {"one", "two"}
