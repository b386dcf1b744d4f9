from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mirror.signing.key import SigningKey

PROGRAM = Path(__file__).with_name("store_on_full_disk.py")


def private_mounts() -> list[str]:
    """What to put before a command so that it may mount, seen by itself only; [] if nothing can."""
    as_root = ["unshare", "--mount"]
    as_user = ["unshare", "--user", "--map-root-user", "--mount"]
    prefix = as_root if os.getuid() == 0 else as_user
    probe = [*prefix, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return prefix if subprocess.run(probe, capture_output=True, check=False).returncode == 0 else []


def run(prefix: list[str], *arguments: object) -> None:
    command = [*prefix, sys.executable, str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("how", ["tmpfs", "rlimit"])
def test_a_full_disk_breaks_nothing_and_gc_makes_room(
    tmp_path: Path, signing_key: SigningKey, how: str
) -> None:
    # where nothing may be mounted (a plain container), a limit on the size of files stands in
    prefix = private_mounts() if how == "tmpfs" else []
    run(prefix, tmp_path / "data", signing_key.home, how if prefix else "rlimit")
