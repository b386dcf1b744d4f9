from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from stream_builders import (
    CONTENT_ID,
    LIMITS,
    NAME,
    NOW,
    REAL,
    UPDATED,
    encode,
    raw_file,
    raw_index,
    raw_product,
)

from mirror.errors import (
    Equivocation,
    FromTheFuture,
    MetadataInvalid,
    MetadataMismatch,
    MetadataTooLarge,
    NotJson,
    Rollback,
    Stale,
    UnsafePath,
)
from mirror.simplestreams.limits import Limits
from mirror.simplestreams.timestamps import format_updated
from mirror.simplestreams.verify import Seen, TrustedStream

TIME = datetime(2025, 7, 24, 8, 1, 48, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def stream(seen=None, *, now=NOW, limits=LIMITS, max_staleness=7 * DAY, accept_rollback=False):
    return TrustedStream(
        "maas-stable",
        now=now,
        seen=seen or {},
        limits=limits,
        max_staleness=max_staleness,
        accept_rollback=accept_rollback,
    )


def at(time, **changes):
    return encode(raw_index(updated=format_updated(time), **changes))


def products_at(time, **changes):
    return encode(raw_file(updated=format_updated(time), **changes))


def taken(index, *products):
    """Believe a whole stream and return what is remembered of it."""
    trusted = stream()
    (entry,) = trusted.update_index(index).entries
    for data in products:
        trusted.update_products(entry, data)
    return trusted.seen()


def test_the_real_stream_is_believed():
    trusted = stream()
    index = trusted.update_index((REAL / "index.json").read_bytes())
    files = ["bootloaders", "centos", "ubuntu"]
    found = [
        trusted.update_products(entry, (REAL / f"{name}.json").read_bytes())
        for entry, name in zip(index.entries, files, strict=True)
    ]
    assert [len(file.products) for file in found] == [5, 2, 4]
    seen = trusted.seen()
    assert seen.keys() == {"index", *(entry.content_id for entry in index.entries)}
    assert seen["index"].updated == index.updated
    # the same again is no news and no offence
    again = stream(seen)
    again.update_index((REAL / "index.json").read_bytes())
    again.update_products(index.entries[2], (REAL / "ubuntu.json").read_bytes())
    assert again.seen() == seen


def test_what_was_seen_survives_json():
    seen = taken(at(TIME), products_at(TIME))
    text = msgspec.json.encode(seen)
    assert msgspec.json.decode(text, type=dict[str, Seen]) == seen


def test_newer_is_believed_and_remembered():
    seen = taken(at(TIME), products_at(TIME))
    trusted = stream(seen)
    (entry,) = trusted.update_index(at(TIME + HOUR)).entries
    trusted.update_products(entry, products_at(TIME + HOUR))
    assert {s.updated for s in trusted.seen().values()} == {TIME + HOUR}


def test_an_older_index_is_a_rollback_and_changes_nothing():
    seen = taken(at(TIME), products_at(TIME))
    trusted = stream(seen)
    with pytest.raises(Rollback) as caught:
        trusted.update_index(at(TIME - HOUR))
    assert caught.value.what == (
        "maas-stable: index is dated Thu, 24 Jul 2025 07:01:48 +0000, "
        "but one of Thu, 24 Jul 2025 08:01:48 +0000 was seen before"
    )
    assert caught.value.exit_status == 4
    assert trusted.seen() == seen


def test_an_older_products_file_under_a_newer_index_is_a_rollback():
    trusted = stream(taken(at(TIME), products_at(TIME)))
    (entry,) = trusted.update_index(at(TIME + HOUR)).entries
    with pytest.raises(Rollback, match=f"maas-stable: {CONTENT_ID} is dated"):
        trusted.update_products(entry, products_at(TIME - HOUR))
    assert trusted.seen()[CONTENT_ID].updated == TIME


def test_an_operator_may_accept_a_rollback():
    before = taken(at(TIME), products_at(TIME))
    trusted = stream(before, accept_rollback=True)
    (entry,) = trusted.update_index(at(TIME - HOUR)).entries
    trusted.update_products(entry, products_at(TIME - HOUR))
    assert {s.updated for s in trusted.seen().values()} == {TIME - HOUR}
    # equal times with other bytes are what a rollback leaves behind, too
    trusted = stream(before, accept_rollback=True)
    (entry,) = trusted.update_index(at(TIME, note="other")).entries
    trusted.update_products(entry, products_at(TIME, note="other"))


def test_the_same_time_with_other_content_is_equivocation():
    seen = taken(at(TIME), products_at(TIME))
    trusted = stream(seen)
    with pytest.raises(Equivocation, match=r"maas-stable: index is dated .* other content"):
        trusted.update_index(at(TIME, note="other"))
    (entry,) = trusted.update_index(at(TIME)).entries
    with pytest.raises(Equivocation, match=f"{CONTENT_ID} is dated .* other content"):
        trusted.update_products(entry, products_at(TIME, note="other"))
    assert trusted.seen() == seen


def test_a_products_file_may_be_rebuilt_under_its_time_if_the_index_is_newer():
    trusted = stream(taken(at(TIME), products_at(TIME)))
    (entry,) = trusted.update_index(at(TIME + HOUR)).entries
    trusted.update_products(entry, products_at(TIME, note="other"))
    assert trusted.seen()[CONTENT_ID].updated == TIME


def test_dates_ahead_of_the_clock():
    stream().update_index(at(NOW + DAY))
    with pytest.raises(FromTheFuture, match="and it is Thu, 24 Jul 2025 12:00:00"):
        stream().update_index(at(NOW + DAY + timedelta(seconds=1)))
    trusted = stream()
    (entry,) = trusted.update_index(at(NOW + DAY)).entries
    with pytest.raises(FromTheFuture):
        trusted.update_products(entry, products_at(NOW + DAY + HOUR))


def test_accepting_a_rollback_accepts_no_future():
    with pytest.raises(FromTheFuture):
        stream(accept_rollback=True).update_index(at(NOW + 2 * DAY))


def test_an_index_that_nobody_updates_is_stale():
    stream(now=TIME + 7 * DAY).update_index(at(TIME))
    with pytest.raises(Stale, match=r"the index is 8.0 days old \(max_staleness: 7.0 days\)"):
        stream(now=TIME + 8 * DAY).update_index(at(TIME))
    stream(now=TIME + 8000 * DAY, max_staleness=timedelta(0)).update_index(at(TIME))


def test_a_products_file_under_another_content_id_is_refused():
    trusted = stream()
    (entry,) = trusted.update_index(at(TIME)).entries
    with pytest.raises(MetadataMismatch, match=f"holds other, where the index says {CONTENT_ID}"):
        trusted.update_products(entry, products_at(TIME, content_id="other"))
    assert CONTENT_ID not in trusted.seen()


def test_a_products_file_must_hold_what_the_index_lists():
    trusted = stream()
    (entry,) = trusted.update_index(at(TIME)).entries
    other = products_at(TIME, products={NAME: raw_product(), "new": raw_product("2")})
    with pytest.raises(MetadataMismatch, match=r"lacks 0 products .* has 1 others \(new\)"):
        trusted.update_products(entry, other)
    with pytest.raises(MetadataMismatch, match=r"lacks 1 products .* has 0 others"):
        trusted.update_products(entry, products_at(TIME, products={}))


def test_rejected_products_count_as_held():
    trusted = stream()
    (entry,) = trusted.update_index(at(TIME)).entries
    found = trusted.update_products(entry, products_at(TIME, products={NAME: []}))
    assert [r.product for r in found.rejected] == [NAME]
    trusted.update_products(entry, products_at(TIME, products={NAME: raw_product(versions={})}))


def test_an_index_that_lists_nothing_binds_nothing():
    index = {CONTENT_ID: {"path": "streams/v1/x.json"}}
    trusted = stream()
    (entry,) = trusted.update_index(at(TIME, index=index)).entries
    assert trusted.update_products(entry, products_at(TIME)).products


def test_a_products_file_may_be_a_little_newer_than_its_index():
    trusted = stream()
    (entry,) = trusted.update_index(at(TIME)).entries
    trusted.update_products(entry, products_at(TIME + 2 * HOUR))
    trusted = stream()
    (entry,) = trusted.update_index(at(TIME)).entries
    with pytest.raises(MetadataMismatch, match=r"is dated Thu, 24 Jul 2025 10:01:49 .*, its index"):
        trusted.update_products(entry, products_at(TIME + 2 * HOUR + timedelta(seconds=1)))


def test_only_what_the_index_names_is_taken():
    trusted = stream()
    (entry,) = stream().update_index(at(TIME)).entries
    with pytest.raises(MetadataMismatch, match="the index names no"):
        trusted.update_products(entry, products_at(TIME))
    trusted.update_index(at(TIME))
    other = msgspec.structs.replace(entry, content_id="other")
    with pytest.raises(MetadataMismatch, match="the index names no other"):
        trusted.update_products(other, products_at(TIME))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"<html>", NotJson),
        (encode(raw_index(updated=None)), MetadataInvalid),
        (encode(raw_index(index={"x": {"path": "../x"}})), UnsafePath),
    ],
)
def test_a_bad_index_is_refused_before_anything_is_remembered(data, error):
    trusted = stream()
    with pytest.raises(error):
        trusted.update_index(data)
    assert trusted.seen() == {}


def test_caps_hold():
    with pytest.raises(MetadataTooLarge):
        stream(limits=Limits(index_bytes=10)).update_index(at(TIME))


def test_seen_keeps_what_this_stream_no_longer_names():
    gone = {"gone": Seen(TIME, "0" * 64)}
    trusted = stream(gone)
    trusted.update_index(encode(raw_index(updated=UPDATED)))
    assert trusted.seen()["gone"] == gone["gone"]
