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

# In the order of their names: add_key, bpf, io_uring_setup, keyctl, memfd_create (no limit counts
# that memory), mount, open_by_handle_at, perf_event_open, pidfd_getfd, process_vm_readv,
# process_vm_writev, ptrace, request_key, setns, setpgid, setsid, socket, unshare, userfaultfd.
_GENERIC = (
    217,
    280,
    425,
    219,
    279,
    40,
    265,
    241,
    438,
    270,
    271,
    117,
    218,
    268,
    154,
    157,
    198,
    97,
    282,
)
_X86_64 = (
    248,
    321,
    425,
    250,
    319,
    165,
    304,
    298,
    438,
    310,
    311,
    101,
    249,
    308,
    109,
    112,
    41,
    272,
    323,
)

_ARCHITECTURES = {
    "x86_64": (0xC000003E, _X86_64, 53),
    "aarch64": (0xC00000B7, _GENERIC, 199),
    "riscv64": (0xC00000F3, _GENERIC, 199),
}
"""By machine: how the kernel names it, what is refused, and the number of socketpair."""


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


def _program(architecture: int, refused: tuple[int, ...], socketpair: int) -> bytes:
    """Return the filter: instructions of code, jump if true, jump if false, and value."""
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSE),
    ]
    for number in refused:
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
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
