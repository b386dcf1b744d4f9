"""What a process may have: limits, and a fence of the kernel's around files and the network.

- Landlock: write below the scratch directory only; read Python, the system's libraries and the
  files to look at; no TCP (from version 4 on).
- A filter of system calls: no socket, no way out of the process group.
- Limits: memory, the size of a file, no core dump; it ends when its parent does.

`confinement` says which of these the kernel has. Where there is no Landlock, only the guard in
Python (`mirror.isolation.guard`) keeps a plugin to its files.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mirror.isolation.landlock import landlock_version, restrict
from mirror.isolation.seccomp import can_filter, filter_calls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38

_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/os-release",
    "/dev/random",
    "/dev/urandom",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system/cpu",
)
_DEVICES = ("/dev/full", "/dev/null", "/dev/zero")


def confinement() -> str:
    """Say what keeps plugins to their files and off the network on this machine."""
    version = landlock_version()
    files = f"files: Landlock {version}" if version else "files: checks in Python (no Landlock)"
    if can_filter():
        network = "network: a filter of system calls"
    elif version >= 4:
        network = f"network: Landlock {version} (TCP)"
    else:
        network = "network: checks in Python"
    return f"{files}; {network}"


def limit(*, memory: int, disk: int) -> None:
    """Limit this process: its own memory, and each file that it writes, in bytes; no core dump."""
    for what, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, disk),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (value, value))


def end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends; end now if that has happened."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def confine(*, scratch: str, readable: Iterable[str]) -> None:
    """Leave this process with these files, and no network; see `confinement`. Raises `OSError`."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if landlock_version():
        restrict(writable=(scratch, *_DEVICES), readable=readable)
    filter_calls()


def system_files(more: Iterable[str], private: Iterable[str]) -> list[str]:
    """Return what a worker may read: Python, the system's libraries, and `more`.

    What holds a `private` directory (a virtual environment beside the data, say) is replaced by
    what is beside that.
    """
    own = str(Path(__file__).resolve().parents[1])
    python = {own, sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(None, sys.path)}
    secrets = [Path(each).resolve() for each in private]
    roots = [Path(each).resolve() for each in (*sorted(python), *_SYSTEM)]
    given = [str(Path(each).resolve()) for each in more]
    return [str(each) for root in roots for each in _without(root, secrets)] + given


def _without(root: Path, secrets: list[Path]) -> Iterator[Path]:
    """Yield the root, or what is in it but for the way to a secret."""
    if any(root.is_relative_to(secret) for secret in secrets):
        return
    if not any(secret.is_relative_to(root) for secret in secrets):
        yield root
        return
    for entry in sorted(root.iterdir()):
        if not entry.is_symlink():
            yield from _without(entry, secrets)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(ctypes.c_int(option), *(ctypes.c_ulong(n) for n in (value, 0, 0, 0))) < 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}: {os.strerror(ctypes.get_errno())}")
