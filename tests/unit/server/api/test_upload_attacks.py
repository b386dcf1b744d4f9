"""Uploads by somebody who means ill: too many, odd numbers, licences that are not theirs."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from test_upload_protocol import TUS, begin, metadata, place, send

from mirror.images.declaration import Declaration
from mirror.images.records import CustomImage, store_image
from mirror.model import Licence, Role
from mirror.service import uploading


@pytest.fixture
def windows(api):
    """An image that is not free, which an operator has put in."""
    said = Declaration(
        os="windows",
        release="win2022",
        ftype="root-dd.gz",
        title="Windows",
        licence=Licence.PROPRIETARY,
    )
    image = CustomImage(declaration=said, newest="20261101")
    store_image(api.mirror.catalog, image)
    return image


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_no_uploader_makes_an_image_free(api, windows):
    refused(begin(api, name="windows/win2022", licence="free"), 403, "MIR-908")
    refused(begin(api, name="windows/win2022", licence="subscription"), 403, "MIR-908")
    assert begin(api, name="windows/win2022", licence="proprietary").status_code == 201
    assert begin(api, name="windows/win2022").status_code == 201
    answer = begin(api, token="operator", name="windows/win2022", licence="free")
    assert answer.status_code == 201


def test_what_an_uploader_brings_goes_by_the_licence_of_when_it_is_taken_in(api):
    """It is declared free before there is any such image; the job must look again."""
    path = place(begin(api, length=1, name="windows/win10", licence="free"))
    job = int(send(api, path, 0, b"x").headers["Mirror-Job"])
    assert b'"licence_stays":true' in bytes(api.mirror.jobs.get(job).options).replace(b" ", b"")


@pytest.mark.parametrize(
    "odd",
    [
        {"keep": "9" * 5000},
        {"keep": "٣"},
        {"keep": "-1"},
        {"sha256": "abc"},
        {"sha256": "0" * 63 + "\n"},
        {"sha256": "../" * 21 + "a"},
    ],
)
def test_odd_values(api, odd):
    answer = begin(api, **odd)
    assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.parametrize("title", ["a\x1b[2Jb", "a\x00b", "a\u202eb", "t" * 201])
def test_a_title_that_steers_a_terminal(api, title):
    answer = begin(api, title=title)
    refused(answer, 422, "MIR-902")
    assert "\x1b" not in answer.json()["detail"]


def test_a_digest_in_capitals_is_the_same_digest(api):
    sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    path = place(begin(api, length=5, sha256=sha256.upper()))
    assert "Mirror-Job" in send(api, path, 0, b"hello").headers


def test_an_upload_of_nothing(api):
    refused(begin(api, length=0), 400, "MIR-920")


def test_a_token_has_so_many_uploads_and_no_more(api, monkeypatch):
    monkeypatch.setattr(uploading, "MOST_HELD", 3)
    api.token("greedy", Role.UPLOADER)
    paths = [place(begin(api, token="greedy")) for _ in range(3)]
    refused(begin(api, token="greedy"), 429, "MIR-929")
    assert begin(api, token="uploader", length=1).status_code in {201, 429}
    assert api("DELETE", paths[0], token="greedy", headers=TUS).status_code == 204
    assert begin(api, token="greedy").status_code == 201


def test_one_whose_job_has_ended_badly_can_be_removed(api):
    path = place(begin(api, length=1))
    job = int(send(api, path, 0, b"x").headers["Mirror-Job"])
    assert api("DELETE", path, token="uploader", headers=TUS).status_code == 423
    api.mirror.jobs.cancel(job, by="test")
    assert api("DELETE", path, token="uploader", headers=TUS).status_code == 204
    assert api("HEAD", path, token="uploader", headers=TUS).status_code == 404


def test_more_bytes_for_one_that_was_taken_in(api):
    path = place(begin(api, length=1))
    send(api, path, 0, b"x")
    number = urlsplit(path).path.rpartition("/")[2]
    api.mirror.uploading.uploads.data(number).unlink()  # as a job does that keeps the image
    refused(send(api, path, 1, b""), 409, "MIR-922")


def test_no_line_of_a_header_comes_out_of_metadata(api):
    answer = begin(api, filename="a\r\nSet-Cookie: x=1")
    if answer.status_code == 201:
        head = api("HEAD", place(answer), token="uploader", headers=TUS)
        assert "Set-Cookie" not in head.headers
        assert metadata(filename="a\r\nSet-Cookie: x=1") in head.headers["Upload-Metadata"]


@pytest.mark.parametrize("number", ["-1", "1e3", "99999999999999999", "+5", "0x10", ""])
def test_offsets_and_lengths_that_are_none(api, number):
    path = place(begin(api))
    refused(send(api, path, number, b"x"), 400, "MIR-920")
    sent = {**TUS, "Upload-Length": number, "Upload-Metadata": metadata(name="custom/mine")}
    refused(api("POST", "/uploads", token="uploader", headers=sent), 400, "MIR-920")


def test_parts_are_not_put_together(api):
    sent = {**TUS, "Upload-Concat": "final;/files/a", "Upload-Metadata": metadata(name="custom/m")}
    refused(api("POST", "/uploads", token="uploader", headers=sent), 400, "MIR-920")


def test_a_reader_sees_no_images_over_the_api(api):
    for path in ("/custom-images", "/snapshots", "/uploads/" + "0" * 32):
        assert api("GET", path, token="reader").status_code == 403
    assert api("GET", "/custom-images", token="uploader").status_code == 403
