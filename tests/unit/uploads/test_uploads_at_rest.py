"""Bytes that come in, in order, by one request at a time, and are still there after a crash."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta

import pytest

from mirror.errors import Busy, NotFound, OffsetConflict, UploadDamaged, UploadOverflow
from mirror.store.incoming import Incoming
from mirror.uploads.receive import digest_of, receive
from mirror.uploads.upload import Uploads


@pytest.fixture
def uploads(tmp_path):
    return Uploads(tmp_path, timedelta(days=2))


def begin(uploads, length=10, **metadata):
    return uploads.create(length, metadata, sha256="", by="token:1 me")


def add(uploads, upload, offset, data):
    with receive(uploads, upload, offset) as receiver:
        receiver.add(data)
    return receiver.offset


def test_bytes_come_in_order(uploads):
    upload = begin(uploads, name="rhel/9")
    assert uploads.offset(upload) == 0
    assert add(uploads, upload, 0, b"hello") == 5
    assert add(uploads, uploads.find(upload.id), 5, b"world") == 10
    assert uploads.data(upload.id).read_bytes() == b"helloworld"
    assert digest_of(uploads, upload) == hashlib.sha256(b"helloworld").hexdigest()
    assert uploads.find(upload.id).metadata == {"name": "rhel/9"}


def test_another_process_goes_on_with_it(uploads, tmp_path):
    upload = begin(uploads)
    add(uploads, upload, 0, b"hello")
    other = Uploads(tmp_path, timedelta(days=2))
    add(other, upload, 5, b"world")
    assert other.data(upload.id).read_bytes() == b"helloworld"
    assert digest_of(other, upload) == "", "it has not seen every byte"
    assert digest_of(uploads, upload) == "", "nor has the first"


@pytest.mark.parametrize("offset", [0, 4, 6, 10])
def test_another_offset_than_it_has(uploads, offset):
    upload = begin(uploads)
    add(uploads, upload, 0, b"hello")
    with pytest.raises(OffsetConflict, match="has 5 bytes"):
        add(uploads, upload, offset, b"x")
    assert uploads.offset(upload) == 5


def test_more_than_was_declared(uploads):
    upload = begin(uploads)
    add(uploads, upload, 0, b"hello")
    with receive(uploads, upload, 5) as receiver, pytest.raises(UploadOverflow):
        receiver.add(b"wonderful world")
    assert uploads.offset(upload) == 5


def test_what_is_taken_back_is_gone(uploads):
    upload = begin(uploads)
    add(uploads, upload, 0, b"hello")
    with receive(uploads, upload, 5) as receiver:
        receiver.add(b"wrong")
        receiver.take_back()
    assert uploads.offset(upload) == 5
    add(uploads, upload, 5, b"world")
    assert uploads.data(upload.id).read_bytes() == b"helloworld"


def test_one_at_a_time(uploads):
    upload = begin(uploads)
    with receive(uploads, upload, 0), pytest.raises(Busy), receive(uploads, upload, 0):
        pass


@pytest.mark.parametrize("number", ["", "x", "../../etc", "0" * 31, "A" * 32, "0" * 32])
def test_an_unknown_one(uploads, number):
    with pytest.raises(NotFound):
        uploads.find(number)


def test_one_whose_description_is_damaged(uploads):
    upload = begin(uploads)
    (uploads.folder(upload.id) / "upload.json").write_text('{"id": 7')
    with pytest.raises(UploadDamaged):
        uploads.find(upload.id)
    assert list(uploads.all()) == []


def test_what_will_be_taken_of_the_disk(uploads):
    begin(uploads, 100)
    upload = begin(uploads, 50)
    assert uploads.waiting_bytes() == 150
    uploads.remove(upload)
    assert uploads.waiting_bytes() == 100


def test_age_sweeps_away_what_stopped_coming(uploads, tmp_path):
    stopped, going = begin(uploads), begin(uploads)
    for each in (stopped, going):
        os.utime(uploads.folder(each.id), (1, 1))
    add(uploads, going, 0, b"hello")
    swept = Incoming(tmp_path).sweep(timedelta(days=1))
    assert swept == [uploads.folder(stopped.id)]
    assert [each.id for each in uploads.all()] == [going.id]


def test_sigkill_loses_nothing_that_was_acknowledged(uploads, tmp_path):
    upload = begin(uploads, 1 << 30)
    code = f"""
        import sys
        from datetime import timedelta
        from pathlib import Path
        from mirror.uploads.receive import receive
        from mirror.uploads.upload import Uploads
        uploads = Uploads(Path({os.fspath(tmp_path)!r}), timedelta(days=2))
        upload = uploads.find({upload.id!r})
        offset = 0
        while True:
            with receive(uploads, upload, offset) as receiver:
                receiver.add(b"0123456789" * 10_000)
            offset = receiver.offset
            print(offset, flush=True)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    for _ in range(20):
        acknowledged = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate()
    acknowledged = int(rest.split()[-1]) if rest.split() else acknowledged
    here = uploads.offset(uploads.find(upload.id))
    assert here >= acknowledged
    add(uploads, upload, here, b"x")
    with uploads.data(upload.id).open("rb") as file:
        assert file.read(acknowledged) == b"0123456789" * (acknowledged // 10)


def test_nothing_is_written_by_who_was_cancelled(uploads, tmp_path):
    """The file is closed by then, and its number may be that of another file."""
    upload = begin(uploads)
    with receive(uploads, upload, 0) as receiver:
        receiver.add(b"hello")
    other = tmp_path / "other"
    other.touch()
    with other.open("r+b") as file:
        number = receiver._fd
        assert os.dup2(file.fileno(), number) == number
        try:
            receiver.add(b"world")
        finally:
            os.close(number)
    assert other.read_bytes() == b""
    assert uploads.offset(upload) == 5


def test_closing_waits_for_what_is_being_written(uploads, monkeypatch):
    upload = begin(uploads)
    writing, go_on, order = threading.Event(), threading.Event(), []
    write = os.pwrite

    def slowly(fd, data, offset):
        writing.set()
        assert go_on.wait(10)
        done = write(fd, data, offset)
        order.append("written")
        return done

    context = receive(uploads, upload, 0)
    receiver = context.__enter__()
    monkeypatch.setattr(os, "pwrite", slowly)
    adding = threading.Thread(target=receiver.add, args=(b"hello",))
    adding.start()
    assert writing.wait(10)

    def leave():
        context.__exit__(None, None, None)
        order.append("closed")

    leaving = threading.Thread(target=leave)
    leaving.start()
    leaving.join(0.2)
    go_on.set()
    adding.join(10)
    leaving.join(10)
    assert order == ["written", "closed"]
    assert uploads.offset(upload) == 5
