from __future__ import annotations

import pytest

from mirror.testing.sstream import mirrored_files, sstream_mirror, sstream_query

INDEX = "/streams/v1/index.sjson"


@pytest.mark.parametrize("suffix", [INDEX, "", "/"], ids=["index", "base", "base/"])
def test_sstream_mirror_takes_the_whole_signed_sample(sample_upstream, serve, tmp_path, suffix):
    # The base has a path, as every real one has: without it, and without a last slash,
    # sstream-mirror asks for http://HOST:PORTstreams/v1/index.sjson and dies.
    base = f"{serve(sample_upstream.root.parent).url}/{sample_upstream.root.name}"
    url = base + suffix
    outcome = sstream_mirror(url, tmp_path / "out", keyring=sample_upstream.keyring)
    assert outcome.status == 0, outcome.errors
    assert mirrored_files(tmp_path / "out") == sample_upstream.files()


def test_sstream_mirror_takes_what_a_filter_says(sample_upstream, serve, tmp_path):
    url = serve(sample_upstream.root).url + INDEX
    outcome = sstream_mirror(
        url,
        tmp_path / "out",
        "release=noble",
        "arch=amd64",
        keyring=sample_upstream.keyring,
        newest=1,
    )
    assert outcome.status == 0, outcome.errors
    expected = {
        path: file
        for path, file in sample_upstream.files().items()
        if path.startswith("noble/amd64/20250715/")
    }
    assert len(expected) == 6
    assert mirrored_files(tmp_path / "out") == expected


def test_sstream_mirror_refuses_a_key_that_is_not_in_its_keyring(
    sample_upstream, other_signing_key, serve, tmp_path
):
    keyring = tmp_path / "other.gpg"
    keyring.write_bytes(other_signing_key.public_binary())
    url = serve(sample_upstream.root).url + INDEX
    outcome = sstream_mirror(url, tmp_path / "out", keyring=keyring)
    assert outcome.status != 0
    assert "gpgv" in outcome.errors
    assert mirrored_files(tmp_path / "out") == {}


def test_sstream_query_lists_every_item(sample_upstream, serve):
    url = serve(sample_upstream.root).url + INDEX
    items = sstream_query(url, keyring=sample_upstream.keyring)
    assert {item["path"]: (item["sha256"], int(item["size"])) for item in items} == (
        sample_upstream.files()
    )


def test_sstream_query_says_why_it_failed(sample_upstream, serve):
    url = serve(sample_upstream.root).url + "/streams/v1/missing.sjson"
    with pytest.raises(AssertionError, match=r"missing\.sjson"):
        sstream_query(url, keyring=sample_upstream.keyring)
