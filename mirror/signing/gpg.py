"""How gpg is run: by python-gnupg, in a home of its own, with a time limit."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import gnupg

from mirror.errors import GpgMissing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TIMEOUT = 120
"""Seconds that one run of gpg may take; a 64 MiB products file takes about two."""

TIMED_OUT = frozenset({124, 137})
"""How `timeout` ends when the time was up."""

# We judge the outcome ourselves; python-gnupg's log would repeat it, and the plaintext too.
logging.getLogger("gnupg").setLevel(logging.CRITICAL)


class TimedGpg(gnupg.GPG):  # type: ignore[misc]
    """gpg that is killed when it takes longer than TIMEOUT (its exit status is then 124)."""

    def make_args(self, args: Sequence[str], passphrase: str | None) -> list[str]:
        """Return python-gnupg's command line, below coreutils' `timeout`."""
        command: list[str] = super().make_args(list(args), passphrase)
        return ["timeout", "--kill-after=5", str(TIMEOUT), *command]


def open_gpg(home: Path) -> gnupg.GPG:
    """Return gpg with this home. It reads no one's settings and asks no network.

    Raises GpgMissing.
    """
    options = ["--no-options", "--no-autostart", "--disable-dirmngr", "--no-auto-key-retrieve"]
    options += ["--trust-model", "always", "--no-permission-warning"]
    try:
        gpg = TimedGpg(
            gnupghome=str(home), options=options, env={**os.environ, "LC_ALL": "C", "LANGUAGE": ""}
        )
    except (OSError, ValueError) as error:
        raise GpgMissing(f"gpg does not run: {error}") from error
    gpg.buffer_size = 1 << 20
    return gpg


def why(result: gnupg.StatusHandler) -> str:
    """Return gpg's last message, to be put behind an error; '' when it said nothing."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("gpg:")]
    return f": {lines[-1][4:].strip()}" if lines else ""


def status_lines(stderr: str) -> list[list[str]]:
    """Return gpg's status lines, each as its keyword and arguments."""
    mark = "[GNUPG:] "
    return [line[len(mark) :].split() for line in stderr.splitlines() if line.startswith(mark)]
