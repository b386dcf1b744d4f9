"""Temporary gpg homes that go when this process ends, however it ends.

A child waits for the end of a pipe that only we hold, and then removes the home; a SIGKILL closes
the pipe too.

A home for signing comes with a gpg-agent. gpg asks one for every use of a secret key. One that gpg
starts by itself would stay for ever, be shared with other processes, and have its socket beside the
key, where the path may be longer than a socket's address holds. Ours runs in a temporary home with
links to the key's files; it ends when its home is gone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import weakref
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mirror.errors import GpgMissing, SigningFailed, StoreError
from mirror.signing.gpg import open_gpg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_KEY_FILES = ("private-keys-v1.d", "openpgp-revocs.d", "pubring.kbx")
_AGENT = ("gpg-agent", "--no-options", "--disable-scdaemon", "--quiet", "--daemon")
_READY = b"ready\n"
# gpg keeps sockets below /run/user, where there is one, in a directory for each home
_WAIT_THEN_REMOVE = """
trap "" HUP INT TERM; echo ready; read -r _
gpgconf --homedir "$1" --remove-socketdir; rm -rf -- "$1"
"""
_PATIENCE = 10
"""Seconds to wait for that child, whose whole work is to remove a few files."""

_PREFIX = "mirror-gpg-"
_SOCKET_ROOM = 106 - len(f"/{_PREFIX}12345678/S.gpg-agent.browser")
"""Bytes that the temporary directory's path may have: an agent's socket address holds no more."""


class Home:
    """A private directory (0700) at `path`, and `gpg` with that home.

    It is empty, or has the keys of the directory `keys` and an agent for them. It goes when it is
    closed or dropped. Raises GpgMissing, SigningFailed when no agent starts, StoreError when the
    temporary directory can't be used.
    """

    def __init__(self, keys: Path | None = None) -> None:
        self.path = _temporary_directory()
        self._names: Sequence[str] = ("pubring.kbx",)
        agent: list[str] = []
        try:
            if keys is not None:
                self._names = _link(keys, self.path)
                agent = [*_AGENT, "--homedir", str(self.path), "--"]
            child = _keeper(self.path, before=agent)
        except BaseException:
            shutil.rmtree(self.path, ignore_errors=True)
            raise
        self._remove = weakref.finalize(self, _remove, child, self.path)
        self.gpg = open_gpg(self.path)

    def is_whole(self) -> bool:
        """Say whether all is still there: something may clean the temporary directory by age."""
        return all((self.path / name).exists() for name in self._names)

    @contextmanager
    def file(self, data: bytes) -> Iterator[Path]:
        """Give a file with these bytes, for as long as the context lasts."""
        with ExitStack() as stack:
            with _temporary_errors(self.path):
                file = stack.enter_context(tempfile.NamedTemporaryFile(dir=self.path))
                file.write(data)
                file.flush()
            yield Path(file.name)

    def close(self) -> None:
        """Remove the home, and wait until it is gone."""
        self._remove()


def _remove(child: subprocess.Popen[bytes], home: Path) -> None:
    with suppress(OSError, subprocess.TimeoutExpired):
        child.communicate(timeout=_PATIENCE)
    shutil.rmtree(home, ignore_errors=True)


def _link(keys: Path, home: Path) -> list[str]:
    names = [name for name in _KEY_FILES if (keys / name).exists()]
    for name in names:
        (home / name).symlink_to((keys / name).absolute())
    return names


def _keeper(home: Path, *, before: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start the child that removes the home in the end, by way of the command `before`."""
    try:
        child = subprocess.Popen(
            [*before, "sh", "-c", _WAIT_THEN_REMOVE, "sh", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # a Ctrl-C is for us: we may still have to sign what was done so far
            start_new_session=True,
        )
    except OSError as error:
        raise GpgMissing(f"{(*before, 'sh')[0]} does not run: {error}") from error
    if child.stdout is None or child.stdout.readline() != _READY:
        child.communicate()
        raise SigningFailed(f"{(*before, 'sh')[0]} did not start (status {child.returncode})")
    return child


def _temporary_directory() -> Path:
    folder = tempfile.gettempdir()
    short = Path(folder if len(os.fsencode(folder)) <= _SOCKET_ROOM else "/tmp")  # noqa: S108
    with _temporary_errors(short):
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=short))


@contextmanager
def _temporary_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"temporary directory {folder}: {error.strerror}",
            remedy="Make room there, or name another directory in TMPDIR.",
        ) from error
