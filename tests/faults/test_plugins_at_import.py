"""A plugin that hangs while it is imported, in a server that runs jobs."""

from __future__ import annotations

import time
from urllib.request import urlopen

import pytest

from mirror.model import JobState
from mirror.sync.run import SyncOptions

HANGS = """
import os
import time
from pathlib import Path
from mirror.api import hookimpl

while Path({marker!r}).exists():
    Path({marker!r} + "." + str(os.getpid())).touch()
    time.sleep(0.1)

@hookimpl
def mirror_sync_finished(event): pass
"""


@pytest.fixture
def marker(tmp_path, install_plugin):
    """Return a file: while it is there, the plugin hangs."""
    file = tmp_path / "hang"
    install_plugin("hangs", HANGS.format(marker=str(file)))
    return file


def until(check, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


@pytest.mark.slow
def test_the_server_serves_and_its_job_can_be_ended(marker, cli, mut, sample_upstream, serve):
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "release=noble")
    mut.sync_now()
    with cli.serving() as server:
        marker.touch()
        job = mut.mirror.jobs.start(SyncOptions(), by="test", reason="manual")
        # other processes of the server hang as well: the job's own must, before it is cancelled
        until(lambda: marker.with_name(f"{marker.name}.{server.job_process()}").exists())
        with urlopen(f"{server.url}/images/stable/streams/v1/index.sjson") as response:
            assert response.status == 200
        mut.mirror.jobs.cancel(job.id, by="test")
        until(lambda: mut.mirror.jobs.get(job.id).ended)
        until(lambda: "hangs; killing it" in server.log())
        assert mut.mirror.jobs.get(job.id).state in {JobState.INTERRUPTED, JobState.CANCELLED}
        # otherwise the end of the server waits 45 seconds for the process that tells the plugin
        marker.unlink()
    assert server.process.returncode == 0


def test_blocking_it_is_enough(marker, cli):
    marker.touch()
    listed = cli("plugin", "list", "--json", MIRROR_PLUGINS__BLOCK='["hangs"]')
    assert {"name": "hangs", "status": "blocked"}.items() <= next(
        each for each in listed.json() if each["name"] == "hangs"
    ).items()
