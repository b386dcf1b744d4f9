"""tuspy, which is not ours, brings images in: over a line that breaks, to a server that is killed.

Nothing shows before the image is whole, checked and published.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests
from maas_region import KEY, FakeRegion, running
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from mirror.model import JobState, Role
from mirror.testing.root_tarballs import root_members, root_tarball

PIECE = 256 * 1024
SIZE = 3 << 20


@pytest.fixture
def image(tmp_path):
    file = tmp_path / "centos.tgz"
    file.write_bytes(root_tarball(root_members("tus", SIZE, release="9-stream")))
    return file


@pytest.fixture
def token(mut):
    return mut.mirror.tokens.create("packer", Role.UPLOADER, (), by="test").secret


def uploader(server, token, file, *, url="", **metadata):
    tus = TusClient(f"{server}/api/v1/uploads", headers={"Authorization": f"Bearer {token}"})
    described = {"name": "centos/9-ours", "title": "Ours", **metadata}
    stream = io.BytesIO(file.read_bytes())
    made = tus.uploader(file_stream=stream, chunk_size=PIECE, metadata=described, retries=0)
    if url:
        made.set_url(url)
        made.offset = made.get_offset()
    return made


def listed(mut):
    return [product for product, _ in mut.versions()] if mut.mirror.store.snapshots.ids() else []


def ended(mut, number, seconds=60):
    deadline = time.monotonic() + seconds
    while not (job := mut.mirror.jobs.get(number)).ended:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return job


@contextlib.contextmanager
def breaking_line(url, cut_after):
    """Pass one connection after the other on, and cut each after so many bytes to the server."""
    target = urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def pump(source, sink, most):
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                passed += len(data)
                if passed > most:
                    break
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def serve():
        while not over.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection((target.hostname, target.port))
            there = threading.Thread(target=pump, args=(client, server, cut_after))
            back = threading.Thread(target=pump, args=(server, client, 1 << 40))
            for thread in (there, back):
                thread.start()
            for thread in (there, back):
                thread.join()
            client.close()
            server.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def test_an_image_comes_in_over_a_line_that_breaks(mut, cli, image, token):
    """The line is cut in the middle of pieces, until all of them are there."""
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    with cli.serving() as server:
        made = uploader(server.url, token, image, sha256=digest)
        url = made.create_url()
        breaks = 0
        with breaking_line(server.url, PIECE - 20_000) as line:
            there = line + urlsplit(url).path
            while True:
                try:
                    uploader(line, token, image, url=there).upload()
                    break
                except (TusCommunicationError, requests.RequestException):
                    breaks += 1
                    assert breaks < 50
        assert breaks >= 2
        answer = requests.head(
            url,
            headers={"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"},
            timeout=30,
        )
        job = ended(mut, int(answer.headers["Mirror-Job"]))
        assert job.state is JobState.SUCCEEDED, job
        published = mut.mirror.snapshots.show("stable").items
        assert {each.sha256 for each in published} >= {digest}
        assert list(mut.mirror.dir.incoming.glob("upload-*/data")) == []


def test_the_server_is_killed_on_the_way(mut, cli, image, token):
    with cli.serving() as server:
        made = uploader(server.url, token, image)
        made.upload(stop_at=3 * PIECE)
        url = made.url
        server.process.kill()
        with pytest.raises((TusCommunicationError, requests.RequestException)):
            made.upload()
    with cli.serving() as server:
        assert listed(mut) == []
        again = uploader(server.url, token, image, url=server.url + urlsplit(url).path)
        assert again.offset >= 3 * PIECE
        again.upload()
        [job] = [each for each in mut.mirror.jobs.list() if each.kind == "image"]
        assert ended(mut, job.id).state is JobState.SUCCEEDED
    assert listed(mut) == ["custom:v1:centos:9-ours:amd64:generic"] * len(listed(mut))
    assert listed(mut)


def test_what_is_no_good_image_is_refused_and_never_shows(mut, cli, tmp_path, token):
    file = tmp_path / "noise.tgz"
    file.write_bytes(os.urandom(PIECE))
    with cli.serving() as server:
        uploader(server.url, token, file).upload()
        [job] = [each for each in mut.mirror.jobs.list() if each.kind == "image"]
        job = ended(mut, job.id)
    assert job.state is JobState.FAILED
    assert job.error.code.startswith("MIR-90")
    assert listed(mut) == []


def test_two_uploads_of_one_name_at_once(mut, cli, image, tmp_path, token):
    other = tmp_path / "other.tgz"
    other.write_bytes(root_tarball(root_members("other", SIZE, release="9-stream")))
    with cli.serving() as server:
        threads = [
            threading.Thread(target=uploader(server.url, token, file).upload)
            for file in (image, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        jobs = [ended(mut, each.id) for each in mut.mirror.jobs.list() if each.kind == "image"]
    assert [job.state for job in jobs] == [JobState.SUCCEEDED] * 2
    [held] = mut.mirror.custom_images.list()
    assert len({version.root.sha256 for version in held.versions}) == 2
    assert held.versions[0].name < held.versions[1].name


async def test_what_came_in_goes_on_to_a_maas(mut, cli, image, tmp_path):
    added = cli("image", "add", str(image), "--name", "centos/9-ours", "--json")
    assert added.status == 0, added.err
    key = tmp_path / "key"
    key.write_text(KEY + "\n")
    region = FakeRegion()
    async with running(region) as url:
        push = ("image", "push", "centos/9-ours", "--maas", url, "--key-file", str(key))
        first = await asyncio.to_thread(cli, *push, "--json")
        again = await asyncio.to_thread(cli, *push)
    assert first.status == 0, first.err
    assert first.json()["sent"] == image.stat().st_size
    assert "nothing had to be sent" in again.out
    [held] = region.files.values()
    assert bytes(held.data) == image.read_bytes()
    form = region.images["centos/9-ours", "amd64/generic"]["form"]
    assert (form["filetype"], "base_image" in form) == ("tgz", False)


def test_what_is_not_free_is_not_pushed_unless_that_is_said(mut, cli, image, tmp_path):
    added = cli(
        *("image", "add", str(image), "--name", "centos/9-ours", "--licence", "proprietary")
    )
    assert added.status == 0, added.err
    key = tmp_path / "key"
    key.write_text(KEY)
    push = ("image", "push", "centos/9-ours", "--maas", "http://127.0.0.1:1/MAAS")
    refused = cli(*push, "--key-file", str(key))
    assert (refused.status, "MIR-944" in refused.err) == (2, True)
    tried = cli(*push, "--key-file", str(key), "--include-licensed")
    assert "MIR-401" in tried.err
