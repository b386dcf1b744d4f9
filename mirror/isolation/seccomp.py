"""A filter of system calls: no sockets, no way out of the process group, no rarely used doors.

Landlock knows TCP only, and lets a process speak to any socket that has a path (the key's agent has
one). So a confined process makes no socket at all, but pairs of connected ones.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

_PR_GET_SECCOMP, _PR_SET_SECCOMP, _FILTER = 21, 22, 2
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _TYPE = 0, 4, 24
"""Offsets into what the filter sees; the type is the second argument of socketpair."""
_X32 = 0x40000000
_SOCK_STREAM, _SOCK_TYPES = 1, 0xF

_REFUSED = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),  # memory that no limit counts
    "mount": (165, 40),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "request_key": (249, 218),
    "setns": (308, 268),
    "setpgid": (109, 154),
    "setsid": (112, 157),
    "socket": (41, 198),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
"""The calls that are refused, with their numbers on x86_64, and where Linux counts them anew."""

_ARCHITECTURES = {
    "x86_64": (0xC000003E, 0, 53),
    "aarch64": (0xC00000B7, 1, 199),
    "riscv64": (0xC00000F3, 1, 199),
}
"""By machine: how the kernel names it, which numbers it has, and that of socketpair."""


def can_filter() -> bool:
    """Say whether the kernel filters system calls, and the numbers of this machine are known."""
    known = platform.machine() in _ARCHITECTURES and sys.maxsize > 1 << 32
    return known and _prctl(_PR_GET_SECCOMP, 0, None) >= 0


def filter_calls() -> None:
    """Refuse those calls to this thread, and to what it starts. Raises `OSError`.

    `no_new_privs` must be set. Where `can_filter` says no, nothing is done.
    """
    if not can_filter():
        return
    program = _program(*_ARCHITECTURES[platform.machine()])
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many instructions, and where they are
    given = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    if _prctl(_PR_SET_SECCOMP, _FILTER, given) < 0:
        raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def _program(architecture: int, column: int, socketpair: int) -> bytes:
    """Return the filter: instructions of code, jump if true, jump if false, and value."""
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSE),
    ]
    for numbers in _REFUSED.values():
        steps += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _REFUSE)]
    steps += [
        (_EQUAL, 0, 4, socketpair),
        (_LOAD, 0, 0, _TYPE),
        (_AND, 0, 0, _SOCK_TYPES),
        (_EQUAL, 1, 0, _SOCK_STREAM),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _prctl(option: int, value: int, pointer: bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(
        libc.prctl(
            ctypes.c_int(option),
            ctypes.c_ulong(value),
            ctypes.c_char_p(pointer),
            ctypes.c_ulong(0),
            ctypes.c_ulong(0),
        )
    )
