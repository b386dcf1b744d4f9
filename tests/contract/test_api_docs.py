"""The commands of docs/api.md work as they are shown."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from api_harness import mirror_with_images, served_api

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
COMMANDS = [each for block in BLOCKS for each in re.split(r"(?<!\\)\n", block.strip())]


@pytest.fixture(scope="module")
def shell(tmp_path_factory, signing_key):
    folder = tmp_path_factory.mktemp("docs")
    with (
        mirror_with_images(folder, signing_key) as (mirror, _),
        served_api(mirror) as api,
    ):
        (folder / "auth").write_text(f"Authorization: Bearer {api.tokens['admin']}\n")

        def run(command):
            return subprocess.run(
                ["bash", "-c", command],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
                cwd=folder,
                env={"MIRROR": api.url, "PATH": "/usr/bin:/bin"},
            ).stdout

        yield run


def test_there_are_commands():
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("command", COMMANDS)
def test_command(shell, command):
    said = shell(command)
    if "/events" in command:
        assert "event: end" in said
    elif "DELETE" in command:
        assert said == ""
    elif "limt" in command:
        assert json.loads(said)["status"] == 400
    else:
        assert "status" not in json.loads(said) or "/status" in command, said
