"""Watch what a plugin's Python code does, and refuse what it may not: so that it can be named.

Landlock and the filter of system calls are the fence, and hold for any code; this sees only what
goes through Python, but knows the name of the file or host, and works on every kernel.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ANYONES = frozenset({"/dev/null", "/dev/zero", "/dev/full"})


class Trespass(PermissionError):
    """A plugin wanted what it may not have. The text is a clause: `it tried to write /etc/motd`."""


class Guard:
    """Remembers in `trespasses` what was refused, though the plugin may have swallowed the error.

    `readable` are the paths below which files may be read, or None where the kernel sees to that.
    """

    def __init__(self, writable: str, readable: Iterable[str] | None) -> None:
        self.trespasses: list[str] = []
        self._writable = os.path.realpath(writable)
        self._readable = None if readable is None else [os.path.realpath(each) for each in readable]
        self._checks: dict[str, Callable[..., None]] = {
            "open": self._open,
            "os.remove": self._entry,
            "os.rmdir": self._entry,
            "os.mkdir": self._make,
            "os.rename": self._move,
            "os.link": self._move,
            "os.symlink": self._link,
            "os.truncate": self._change,
            "os.chmod": self._change,
            "os.chown": self._change,
            "os.utime": self._change,
            "os.setxattr": self._change,
            "os.removexattr": self._change,
            "os.kill": self._signal,
            "os.killpg": self._signal,
            "socket.connect": self._connect,
            "socket.bind": self._connect,
            "socket.sendto": self._connect,
            "socket.sendmsg": self._connect,
            "socket.getaddrinfo": self._resolve,
            "socket.gethostbyname": self._resolve,
        }

    def watch(self) -> None:
        """Begin; there is no end."""
        checks = self._checks

        def look(event: str, arguments: tuple[Any, ...]) -> None:
            check = checks.get(event)
            if check is not None:
                check(*arguments)

        sys.addaudithook(look)

    def refuse(self, what: str) -> None:
        """Refuse it: `what` is what was tried. Raises `Trespass`."""
        clause = f"it tried to {what}"
        if len(self.trespasses) < 10:
            self.trespasses.append(clause)
        raise Trespass(clause)

    # --- files ------------------------------------------------------------------------------------

    def _open(self, path: object, mode: str | None, flags: int) -> None:
        writing = flags & _WRITING or (mode and set(mode) & set("wax+"))
        file = _resolved(path)
        if not file or file in _ANYONES:
            return
        if writing:
            self._may_write(file)
        elif self._readable is not None and not self._may_read(file):
            raise PermissionError(13, "the plugin was not given it", file)

    def _may_read(self, file: str) -> bool:
        return _below(file, self._writable) or any(
            _below(file, each) for each in self._readable or ()
        )

    def _may_write(self, file: str) -> None:
        if file and not _below(file, self._writable):
            self.refuse(f"write {file}")

    def _entry(self, path: object, folder: int = -1) -> None:
        self._may_write(_entry_of(path, folder))

    def _make(self, path: object, _mode: int, folder: int = -1) -> None:
        self._may_write(_entry_of(path, folder))

    def _move(self, old: object, new: object, old_folder: int = -1, new_folder: int = -1) -> None:
        self._may_write(_entry_of(old, old_folder))
        self._may_write(_entry_of(new, new_folder))

    def _link(self, _target: object, path: object, folder: int = -1) -> None:
        self._may_write(_entry_of(path, folder))

    def _change(self, path: object, *_more: object) -> None:
        self._may_write(_resolved(path))

    # --- others -----------------------------------------------------------------------------------

    def _signal(self, process: int, _signal: int) -> None:
        if process in {os.getppid(), 1, -1}:
            self.refuse(f"send a signal to process {process}")

    def _connect(self, _socket: object, address: object) -> None:
        if address is not None:
            self.refuse(f"speak to {address!r}")

    def _resolve(self, host: object, *_more: object) -> None:
        self.refuse(f"look up the address of {host!r}")


def _resolved(path: object) -> str:
    """Return the real path of what is named; '' for what is open already."""
    return os.path.realpath(_text(path)) if isinstance(path, str | bytes | os.PathLike) else ""


def _entry_of(path: object, folder: int) -> str:
    """Return the real path of a directory's entry, which is not followed where it is a link."""
    if not isinstance(path, str | bytes | os.PathLike):
        return ""
    where, name = os.path.split(_text(path).rstrip("/") or "/")
    if folder >= 0:
        where = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), where)  # noqa: PTH115, PTH118
    return os.path.join(os.path.realpath(where or "."), name)  # noqa: PTH118


def _text(path: str | bytes | os.PathLike[Any]) -> str:
    return os.fsdecode(path)


def _below(file: str, folder: str) -> bool:
    return file == folder or file.startswith(folder.rstrip("/") + "/")
