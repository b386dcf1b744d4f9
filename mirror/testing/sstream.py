"""Run the clients that we did not write: `sstream-mirror` and `sstream-query`, as programs.

They come with python-simplestreams, which is never imported here. Both block: in a test whose
server shares the event loop, call them through `asyncio.to_thread`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT = 100.0
"""Seconds that one run may take."""


@dataclass(frozen=True)
class Outcome:
    """How a program ended. `output` and `errors` are what it printed."""

    status: int
    output: str
    errors: str


def sstream_mirror(
    url: str,
    out: Path,
    *filters: str,
    keyring: Path | None = None,
    newest: int | None = None,
    path: str = "",
) -> Outcome:
    """Mirror `url` into `out`: the address of an index, or the base of a stream.

    With `keyring` every signature is checked, without it none is. `newest` is how many versions of
    each product to take; `path` names an index or products file below the base.
    """
    options = [*_keyring(keyring), *([f"--path={path}"] if path else [])]
    if newest is not None:
        options.append(f"--max={newest}")
    return _run("sstream-mirror", [*options, url, str(out), *filters])


def sstream_query(url: str, *filters: str, keyring: Path | None = None) -> list[dict[str, Any]]:
    """Return every item that the stream at `url` lists, flat, with all inherited attributes.

    Raise AssertionError with the program's own words if it fails.
    """
    outcome = _run("sstream-query", [*_keyring(keyring), "--json", url, *filters])
    if outcome.status != 0:
        raise AssertionError(f"sstream-query {url} ended with {outcome.status}: {outcome.errors}")
    items: list[dict[str, Any]] = json.loads(outcome.output)
    return items


def mirrored_files(out: Path) -> dict[str, tuple[str, int]]:
    """Return (sha256, size) of every image file that `sstream-mirror` wrote, by path.

    Its own bookkeeping and the metadata below `streams/` are left out.
    """
    return {
        name: _measure(file)
        for file in sorted(out.rglob("*"))
        if file.is_file()
        and not (name := file.relative_to(out).as_posix()).startswith((".data/", "streams/"))
    }


def _measure(file: Path) -> tuple[str, int]:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest(), file.stat().st_size


def _keyring(keyring: Path | None) -> list[str]:
    return [f"--keyring={keyring}"] if keyring else ["--no-verify"]


def _run(program: str, arguments: list[str]) -> Outcome:
    done = subprocess.run(
        [_program(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def _program(name: str) -> str:
    """Find a program beside this Python, or else on PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise FileNotFoundError(
            f"{name} is missing: pip install python-simplestreams 'setuptools<81'"
        )
    return found
