from __future__ import annotations

import subprocess
import sys

import pytest

from mirror.jobs.presence import Presence

HOLD = """
import sys
from pathlib import Path
from mirror.jobs.presence import Presence
with Presence(Path(sys.argv[1])) as presence:
    print(presence.take(7), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds job 7."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_a_job_is_held_as_long_as_its_process_lives(tmp_path, holder):
    with Presence(tmp_path) as presence:
        assert presence.is_held(7)
        assert not presence.is_held(8)
        assert not presence.take(7)
        assert presence.take(8)
        holder.kill()
        holder.wait()
        assert not presence.is_held(7)
        assert presence.take(7)


def test_one_process_may_hold_several_and_another_look_does_not_free_them(tmp_path):
    with Presence(tmp_path) as one, Presence(tmp_path) as other:
        assert one.take(1)
        assert other.take(2)
        assert other.is_held(1)
        assert not other.take(1)
        with Presence(tmp_path) as look:
            assert look.is_held(1)
            assert look.is_held(2)
        assert other.is_held(1)  # closing one open file frees nothing of another
    with Presence(tmp_path) as look:
        assert not look.is_held(1)
        assert not look.is_held(2)
