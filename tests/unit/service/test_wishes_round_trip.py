"""Any file of wishes is written and read back the same, and any catalogue becomes any other."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mirror.model import BootSource, Schedule, Selection
from mirror.service.wish_file import (
    ChannelWish,
    PinWish,
    Wishes,
    read_wishes,
    write_duration,
    write_wishes,
)

text_values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,11}\Z")
words = st.lists(text_values, max_size=3).map(tuple)
spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400))
sources = st.builds(
    BootSource,
    name=names,
    url=text_values,
    fallback_urls=words,
    keyring_data=text_values,
    fingerprints=words,
    trust=st.sampled_from(["signed", "none"]),
    priority=st.integers(-99, 99),
    enabled=st.booleans(),
    no_proxy=text_values,
    username=text_values,
    password_file=st.sampled_from(["", "/run/secret", "/etc/a b"]),
    bandwidth=st.integers(0, 2**40),
    max_staleness=spans,
)
selections = st.builds(
    Selection,
    id=st.just(0),
    filters=words,
    source=text_values,
    keep=st.integers(1, 99),
    os=text_values,
    release=text_values,
    arches=words,
    bootloaders=st.booleans(),
)
pins = st.builds(PinWish, filters=words, version=text_values)
wishes_of_any_kind = st.builds(
    Wishes,
    sources=st.none()
    | st.lists(sources, max_size=3, unique_by=lambda each: each.name).map(
        lambda found: tuple(sorted(found, key=lambda each: each.name))
    ),
    selections=st.none() | st.lists(selections, max_size=3).map(tuple),
    channels=st.none()
    | st.dictionaries(
        names,
        st.builds(
            ChannelWish,
            origin=text_values,
            held=st.none() | text_values,
            pins=st.lists(pins, max_size=2).map(tuple),
        ),
        max_size=3,
    ),
    schedule=st.none()
    | st.builds(
        Schedule,
        enabled=st.booleans(),
        interval=spans,
        jitter=spans,
        allowed=words,
        quiet=words,
    ),
)


@given(wishes_of_any_kind)
@hypothesis_settings(deadline=None)
def test_what_is_written_is_read_as_it_was(wishes):
    text = write_wishes(wishes)
    assert read_wishes(text) == wishes
    assert write_wishes(read_wishes(text)) == text


@given(spans)
@hypothesis_settings(deadline=None)
def test_a_duration_is_read_as_it_was_written(span):
    [read] = [read_wishes(f"[schedule]\ninterval = '{write_duration(span)}'").schedule]
    assert read is not None
    assert read.interval == span


valid_sources = st.lists(
    st.builds(
        BootSource,
        name=names,
        url=st.sampled_from(["http://a.example/x", "https://b.example/streams/v1/index.json"]),
        fallback_urls=st.sampled_from([(), ("https://c.example/",)]),
        trust=st.just("none"),
        priority=st.integers(-9, 9),
        enabled=st.booleans(),
        proxy=st.sampled_from(["", "http://proxy.example:3128"]),
        bandwidth=st.integers(0, 10**9),
        max_staleness=spans,
    ),
    max_size=4,
    unique_by=lambda each: each.name,
)
valid_selections = st.lists(
    st.builds(
        Selection,
        id=st.just(0),
        filters=st.sampled_from([(), ("release~(jammy|noble)",), ("arch=amd64", "label!=daily")]),
        keep=st.integers(1, 5),
        os=st.sampled_from(["", "ubuntu"]),
        release=st.sampled_from(["", "noble", "jammy"]),
        arches=st.sampled_from([(), ("amd64",), ("amd64", "arm64")]),
        bootloaders=st.booleans(),
    ).filter(lambda each: each.os or each.release or each.arches or each.filters),
    max_size=5,
    unique_by=repr,
)


@given(valid_sources, valid_selections, valid_sources, valid_selections)
@hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_from_any_catalogue_to_any_other_and_back(mut, sources, selections, others, other_choice):
    """The mirror is the same one in every example: each goes on from what the last one left."""
    for wanted, chosen in ((sources, selections), (others, other_choice)):
        wishes = Wishes(sources=tuple(wanted), selections=tuple(chosen))
        mut.mirror.wishes.apply(wishes, by="test")
        assert mut.mirror.wishes.plan(wishes).changes == ()
        assert {each.name: each for each in mut.mirror.sources.list()} == {
            each.name: each for each in wanted
        }
        exported = read_wishes(mut.mirror.wishes.export())
        assert mut.mirror.wishes.plan(exported).changes == ()
