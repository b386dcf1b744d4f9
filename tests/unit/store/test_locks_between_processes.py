from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from mirror.errors import Busy, StoreError
from mirror.store import content_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import sys, time
from pathlib import Path
from mirror.store import content_lock
with content_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        yield child
        child.kill()


def test_busy_names_the_holder(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    with pytest.raises(Busy, match=f"process {holder.pid}$"), content_lock(tmp_path):
        pass


def test_sigkill_releases_the_lock(tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with content_lock(tmp_path):
        pass


def test_wait_gets_the_lock_when_it_is_free(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    got = threading.Event()

    def wait() -> None:
        with content_lock(tmp_path, wait=True):
            got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not got.wait(0.1)
    holder.kill()
    thread.join(20)
    assert got.is_set()


def test_the_same_process_is_refused_too(tmp_path: Path) -> None:
    refused = pytest.raises(Busy, match=f"process {os.getpid()}$")
    with content_lock(tmp_path), refused, content_lock(tmp_path):
        pass
    with content_lock(tmp_path):
        pass


def test_an_error_inside_releases_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), content_lock(tmp_path):
        raise ZeroDivisionError
    with content_lock(tmp_path):
        pass


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    refused = pytest.raises(StoreError, match=r"content\.lock: No such file")
    with refused, content_lock(tmp_path / "none"):
        pass
