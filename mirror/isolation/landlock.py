"""Landlock: a process gives up, for ever, what it and its children need not reach.

The kernel's own documentation (userspace-api/landlock) describes the calls. What a kernel does not
know yet is left out; `landlock_version` says how much it knows.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls: the same on every architecture that the mirror runs on."""
_ASK_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_ALL_OF_VERSION_1 = (1 << 13) - 1
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

_READ = _EXECUTE | _READ_FILE | _READ_DIR
_NETWORK = 0b11
"""To bind and to connect TCP sockets: from version 4 on."""
_SCOPES = 0b11
"""Abstract unix sockets and signals end at the own processes: from version 6 on."""


def landlock_version() -> int:
    """Return which version of Landlock the kernel has; 0: none, or not for us."""
    return max(_call(_CREATE_RULESET, None, 0, _ASK_VERSION, check=False), 0)


def restrict(*, writable: Iterable[str], readable: Iterable[str]) -> None:
    """Leave this thread, and what it starts, with these paths and what is below them, and no TCP.

    What is `writable` can be read, too. A path that is not there is left out. `no_new_privs` must
    be set. Raises `OSError`.
    """
    version = landlock_version()
    known = _ALL_OF_VERSION_1
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        known |= right if version >= since else 0
    write = known & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)
    rules = [(path, write) for path in writable] + [(path, _READ) for path in readable]
    ruleset = _create(version, known)
    try:
        for path, rights in rules:
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                _allow(ruleset, path, rights)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _create(version: int, files: int) -> int:
    fields = [files]
    if version >= 4:
        fields.append(_NETWORK)
    if version >= 6:
        fields.append(_SCOPES)
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    return _call(_CREATE_RULESET, attributes, len(attributes), 0)


def _allow(ruleset: int, path: str, rights: int) -> None:
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            rights &= _OF_FILES
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, opened), 0)
    finally:
        os.close(opened)


def _call(number: int, *arguments: int | bytes | None, check: bool = True) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(ctypes.c_long(number), *map(_as_c, arguments)))
    if result < 0 and check:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return result


def _as_c(value: int | bytes | None) -> object:
    return ctypes.c_long(value) if isinstance(value, int) else ctypes.c_char_p(value)
