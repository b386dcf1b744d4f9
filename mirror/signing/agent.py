"""A gpg-agent that lives exactly as long as this process needs it.

gpg asks an agent for every use of a secret key. One that it starts by itself would stay for ever,
be shared with other processes, and have its socket in the key's directory, whose path may be
longer than a socket's address holds. So the agent gets a temporary home with links to the key's
files, and runs with a child that waits for the end of our pipe and then removes that home: this
happens also when our process is killed, and the agent ends when its socket is gone.
"""

from __future__ import annotations

import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from mirror.errors import GpgMissing, SigningFailed
from mirror.signing.gpg import remove_home, temporary_home

if TYPE_CHECKING:
    from pathlib import Path

_WAIT_THEN_REMOVE = 'cat >/dev/null; rm -rf -- "$1"'
_READY = b"ready"
_PATIENCE = 10
"""Seconds to wait for the agent's child, whose whole work is to remove a few files."""


class Agent:
    """A running agent for the secret keys below `keys`; `home` is the home to give to gpg."""

    def __init__(self, keys: Path) -> None:
        self.home = temporary_home()
        try:
            for name in ("private-keys-v1.d", "openpgp-revocs.d", "pubring.kbx"):
                if (keys / name).exists():
                    (self.home / name).symlink_to((keys / name).absolute())
            self._child = _start(self.home)
        except BaseException:
            remove_home(self.home)
            raise

    def close(self) -> None:
        """End the agent and wait until its home is gone."""
        with suppress(OSError, subprocess.TimeoutExpired):
            self._child.communicate(timeout=_PATIENCE)
        remove_home(self.home)


def _start(home: Path) -> subprocess.Popen[bytes]:
    keep = ["sh", "-c", f"echo {_READY.decode()}; {_WAIT_THEN_REMOVE}", "sh", str(home)]
    agent = ["gpg-agent", "--homedir", str(home), "--no-options", "--disable-scdaemon"]
    try:
        child = subprocess.Popen(
            [*agent, "--quiet", "--daemon", "--", *keep],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # a Ctrl-C is for us: we may still have to sign what was done so far
            start_new_session=True,
        )
    except OSError as error:
        raise GpgMissing(f"gpg-agent does not run: {error}") from error
    if child.stdout is None or child.stdout.readline().strip() != _READY:
        child.communicate()
        raise SigningFailed(f"gpg-agent did not start (status {child.returncode})")
    return child
