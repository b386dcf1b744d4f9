"""Uploads by the tus protocol: resumed, checked, refused, and taken in by a job when whole."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from urllib.parse import urlsplit

import pytest

from mirror.model import Role

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


def metadata(**values):
    return ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in values.items())


def begin(api, length=10, token="uploader", headers=None, **values):
    values = {"name": "custom/mine", **values}
    sent = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata(**values)}
    return api("POST", "/uploads", token=token, headers=sent | (headers or {}))


def place(answer):
    assert answer.status_code == 201, answer.text
    return urlsplit(answer.headers["Location"]).path.removeprefix("/api/v1")


def send(api, path, offset, data, token="uploader", **headers):
    sent = {**PIECE, "Upload-Offset": str(offset), **headers}
    return api("PATCH", path, token=token, headers=sent, data=data)


def offset(api, path):
    answer = api("HEAD", path, token="uploader", headers=TUS)
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


def test_what_it_can_do_is_said_to_all(api):
    answer = api("OPTIONS", "/uploads", token="")
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Extension"].split(",") == [
        "creation",
        "creation-with-upload",
        "checksum",
        "expiration",
        "termination",
    ]
    assert "sha1" in answer.headers["Tus-Checksum-Algorithm"].split(",")
    assert int(answer.headers["Tus-Max-Size"]) > 1 << 30


def test_an_upload_goes_on_where_it_was(api):
    path = place(begin(api))
    assert offset(api, path) == 0
    first = send(api, path, 0, b"hello")
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "5")
    assert first.headers["Tus-Resumable"] == "1.0.0"
    assert "Upload-Expires" in first.headers
    assert offset(api, path) == 5
    seen = api.get(path, token="uploader")
    assert (seen["offset"], seen["length"], seen["job"]) == (5, 10, 0)
    assert "uploader" in seen["by"]


def test_a_whole_one_becomes_a_job(api):
    path = place(begin(api))
    answer = send(api, path, 0, b"helloworld")
    job = int(answer.headers["Mirror-Job"])
    row = api.get(f"/jobs/{job}")
    assert row["kind"] == "image"
    assert "uploader" in row["by"]
    # asked again, because the answer was lost: the same job
    assert api("HEAD", path, token="uploader", headers=TUS).headers["Mirror-Job"] == str(job)
    assert api("DELETE", path, token="uploader", headers=TUS).status_code == 423


def test_the_first_bytes_may_come_with_the_creation(api):
    sent = {
        **PIECE,
        "Upload-Length": "10",
        "Upload-Metadata": metadata(name="custom/mine"),
    }
    answer = api("POST", "/uploads", token="uploader", headers=sent, data=b"hello")
    assert answer.headers["Upload-Offset"] == "5"
    assert offset(api, place(answer)) == 5


@pytest.mark.parametrize("wrong", [0, 4, 6, 11])
def test_a_wrong_offset(api, wrong):
    path = place(begin(api))
    send(api, path, 0, b"hello")
    answer = send(api, path, wrong, b"x")
    assert (answer.status_code, answer.json()["code"]) == (409, "MIR-922")
    assert offset(api, path) == 5


def test_an_upload_that_lies_about_its_length(api):
    path = place(begin(api))
    answer = send(api, path, 0, b"hello wonderful world")
    assert (answer.status_code, answer.json()["code"]) == (413, "MIR-923")
    assert offset(api, path) == 0


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_a_piece_with_a_checksum(api, algorithm):
    path = place(begin(api))
    digest = base64.b64encode(hashlib.new(algorithm, b"hello").digest()).decode()
    wrong = send(api, path, 0, b"hellO", **{"Upload-Checksum": f"{algorithm} {digest}"})
    assert (wrong.status_code, wrong.json()["code"]) == (460, "MIR-924")
    assert offset(api, path) == 0
    right = send(api, path, 0, b"hello", **{"Upload-Checksum": f"{algorithm} {digest}"})
    assert right.status_code == 204


@pytest.mark.parametrize("value", ["md5 AAAA", "sha256 ?", "sha256"])
def test_a_checksum_that_is_none(api, value):
    path = place(begin(api))
    assert send(api, path, 0, b"x", **{"Upload-Checksum": value}).status_code == 400


def test_what_is_known_to_be_wrong_is_refused_at_once(api):
    path = place(begin(api, sha256=hashlib.sha256(b"other").hexdigest()))
    answer = send(api, path, 0, b"helloworld")
    assert answer.status_code == 422
    assert "sha256" in answer.json()["detail"]
    assert api.get(path, token="uploader")["job"] == 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": "ubuntu/mine"}, "custom"),
        ({"name": "a/b/c"}, "slash"),
        ({"name": ""}, "name"),
        ({"type": "zst"}, "zst"),
        ({"licence": "mine"}, "licence"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_what_would_be_refused_is_refused_before_it_is_sent(api, values, said):
    answer = begin(api, **values)
    assert answer.status_code in {400, 422}, answer.text
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Upload-Length": "many"}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "1" * 15}, 413),
        ({"Upload-Length": ""}, 400),
        ({"Upload-Defer-Length": "1"}, 400),
        ({"Upload-Metadata": "name"}, 400),
        ({"Upload-Metadata": "name ????"}, 400),
        ({"Upload-Metadata": "name YQ==,name YQ=="}, 400),
    ],
)
def test_a_creation_that_can_t_be_read(api, headers, status):
    answer = begin(api, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    if status == 412:
        assert answer.headers["Tus-Version"] == "1.0.0"


def test_another_kind_of_body(api):
    path = place(begin(api))
    answer = send(api, path, 0, b"hello", **{"Content-Type": "text/plain"})
    assert answer.status_code == 415


@pytest.mark.parametrize("role", [Role.READER, Role.RACK])
def test_who_may_not_upload(api, role):
    assert begin(api, token=role.value).status_code == 403
    path = place(begin(api))
    assert send(api, path, 0, b"x", token=role.value).status_code == 403
    assert api("HEAD", path, token="", headers=TUS).status_code == 401


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_an_upload_that_is_not_there(api, method):
    answer = api(method, f"/uploads/{'0' * 32}", token="uploader", headers=PIECE)
    assert answer.status_code == 404


def test_one_that_is_given_up(api):
    path = place(begin(api))
    assert api("DELETE", path, token="uploader", headers=TUS).status_code == 204
    assert api("HEAD", path, token="uploader", headers=TUS).status_code == 404


def test_what_came_before_the_connection_broke_is_kept(api):
    """Declare a body of a megabyte, send some of it, and hang up."""
    length = 3 << 20
    path = place(begin(api, length))
    parts = urlsplit(api.url)
    head = (
        f"PATCH /api/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        f"{api.tokens['uploader']}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(head.encode() + b"x" * (1 << 20))
    came = 0
    for _ in range(100):
        came = offset(api, path)
        if came:
            break
        threading.Event().wait(0.05)
    assert 0 < came <= 1 << 20
    for _ in range(100):  # the request that broke may still be adding what came of it
        came = offset(api, path)
        rest = send(api, path, came, b"x" * (length - came))
        if rest.status_code == 204:
            break
        threading.Event().wait(0.05)
    assert rest.headers["Upload-Offset"] == str(length)


def test_one_request_at_a_time(api):
    length = 1 << 20
    path = place(begin(api, length))
    parts = urlsplit(api.url)
    head = (
        f"PATCH /api/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        f"{api.tokens['uploader']}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\nx"
    )
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(head.encode())
        for _ in range(200):  # asking takes no turn: what adds nothing might, before it has begun
            if offset(api, path):
                break
            threading.Event().wait(0.05)
        answer = send(api, path, 0, b"")
        assert answer.json()["code"] == "MIR-926"
