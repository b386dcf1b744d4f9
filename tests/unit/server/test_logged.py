"""What a served mirror writes: JSON in every process, with the ids of requests, and no secret."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.error
import urllib.request

import pytest

from mirror.model import Role


@pytest.mark.parametrize("form", ["json", "plain"])
def test_no_token_is_in_the_log_of_any_process(mut, cli, form):
    mut.mirror.tokens.create("other", Role.READER, by="test")
    made = mut.mirror.tokens.create("maas", Role.ADMIN, by="test")
    secret = made.secret.rpartition("_")[2]
    more = {"MIRROR_LOG__FORMAT": form, "MIRROR_LOG__LEVEL": "DEBUG"}
    process = subprocess.Popen(
        cli.command("serve", "--host", "127.0.0.1", "--port", "0", "--access-log"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**cli.environment, **more},
    )
    try:
        url = re.search(r"http://[^/]+", process.stdout.readline())[0]
        headers = {"Authorization": f"Bearer {made.secret}", "X-Request-ID": "from-a-client-1"}
        paths = (
            f"/t/{made.secret}/images/stable/x",
            f"/images/stable/x?token={made.secret}",
            "/api/v1/jobs",
            f"/api/v1/jobs/{made.secret}",
            "/metrics",
        )
        answers = {path: _get(url + path, headers) for path in paths}
        assert answers["/api/v1/jobs"]["X-Request-ID"] == "from-a-client-1"
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert secret not in log
    requests = [line for line in log.splitlines() if "mirror.access" in line]
    assert len(requests) == len(paths)
    if form == "json":
        records = [json.loads(line) for line in log.splitlines()]
        assert len({each["process"] for each in records}) >= 2


def _get(url, headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.headers
    except urllib.error.HTTPError as error:
        return error.headers
