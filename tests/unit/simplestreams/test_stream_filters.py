from __future__ import annotations

import pytest

from mirror.errors import FilterInvalid
from mirror.simplestreams.filters import matches, parse_filter

ITEM = {"release": "noble", "arch": "amd64", "size": 5, "flag": True, "tags": ["x"], "none": None}


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("release=noble", True),
        ("release=nob", False),
        ("release!=jammy", True),
        ("release!=noble", False),
        ("release~(jammy|noble)", True),
        ("release~^ob", False),
        ("release~ob", True),
        ("release!~^j", True),
        ("release!~^n", False),
        ("release = noble", True),
        ("release=noble ", False),
        ("size=5", True),
        ("flag=True", True),
        ("missing=", True),
        ("missing=x", False),
        ("missing!=x", True),
        ("missing~.", False),
        ("missing!~.", True),
        ("tags=", True),
        ("none=", True),
        ("arch=", False),
        ("arch~", True),
        ("arch==amd64", False),
    ],
)
def test_each_operator(text, passes):
    assert matches([parse_filter(text)], ITEM) is passes


def test_every_filter_must_pass():
    both = [parse_filter("release=noble"), parse_filter("arch=arm64")]
    assert not matches(both, ITEM)
    assert matches(both[:1], ITEM)
    assert matches([], ITEM)


@pytest.mark.parametrize(
    "text", ["", "release", "=noble", " release=noble", "re lease=noble", "rel.ease=x", "a=b\nc"]
)
def test_what_is_no_filter_is_refused_by_name(text):
    with pytest.raises(FilterInvalid) as caught:
        parse_filter(text)
    assert repr(text) in caught.value.what
    assert caught.value.exit_status == 2


def test_a_broken_regex_is_said_to_be_one():
    with pytest.raises(FilterInvalid, match=r"regex that is not valid: .*unterminated"):
        parse_filter("release~(jammy")
