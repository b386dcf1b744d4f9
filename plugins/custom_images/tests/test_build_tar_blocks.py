"""A tar without some of its members: the others to the byte; for damage, FormatError alone."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mirror_custom_images.building.tar_blocks import blocks_without

from mirror.formats import FormatError

LONG = "d" * 120


def archive(form=tarfile.PAX_FORMAT, **more) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, **more) as made:
        for name, content in {
            "./etc/a": b"a" * 700,
            "./curtin/b": b"b" * 3000,
            f"./curtin/{LONG}/c": b"c",
            f"./{LONG}/ä": b"d" * 512,
            "curtin-not": b"",
        }.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1.5 if form == tarfile.PAX_FORMAT else 1
            made.addfile(info, io.BytesIO(content))
    return out.getvalue()


def without(data: bytes, unwanted=lambda name: name.startswith("curtin/")) -> bytes:
    return b"".join(blocks_without(io.BytesIO(data), unwanted))


FORMS = [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]


@pytest.mark.parametrize("form", FORMS)
def test_what_stays_is_the_same(form):
    data = archive(form)
    assert without(data, lambda _: False) == data
    made = without(data)
    with tarfile.open(fileobj=io.BytesIO(made)) as opened:
        assert opened.getnames() == ["./etc/a", f"./{LONG}/ä", "curtin-not"]
        assert opened.extractfile(f"./{LONG}/ä").read() == b"d" * 512
    rest = iter(made[at : at + 512] for at in range(0, len(made), 512))
    blocks = [data[at : at + 512] for at in range(0, len(data), 512)]
    assert all(block in blocks for block in rest)


def test_headers_for_all_stay():
    data = archive(pax_headers={"comment": "for all"})
    made = without(data)
    with tarfile.open(fileobj=io.BytesIO(made)) as opened:
        assert opened.getnames() == ["./etc/a", f"./{LONG}/ä", "curtin-not"]
        assert opened.pax_headers == {"comment": "for all"}


@pytest.mark.parametrize("form", FORMS)
def test_a_tar_that_was_cut(form):
    data = archive(form)
    end = len(data.rstrip(b"\0"))
    for size in range(1, end, 97):
        if size % 512 or any(data[size : size + 512]):
            try:
                made = without(data[:size])
            except FormatError:
                continue
            assert size % 512 == 0, size
            assert made == without(data)[: len(made)]


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(FORMS), st.integers(0, 9000), st.binary(min_size=1, max_size=40))
def test_damage_is_a_format_error(form, at, noise):
    data = bytearray(archive(form))
    data[at : at + len(noise)] = noise
    try:
        made = without(bytes(data))
    except FormatError:
        return
    assert len(made) <= len(data)
