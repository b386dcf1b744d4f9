"""Many readers of one file, as cheap as can be, so that the server is what is measured.

    python -m benchmarks.readers URL COUNT SECONDS

Each reader asks for the file again and again on its own connection. Bodies are counted but not
copied (MSG_TRUNC): on a shared machine a client that copies is slower than the servers. Prints
JSON: bytes, seconds, and how many readers got anything.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from urllib.parse import urlsplit

_AT_ONCE = 1 << 20


class _Reader:
    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self.socket = socket.create_connection(address)
        self.socket.settimeout(0)
        self.bytes = 0
        self._request = request
        self._left = 0
        self._ask()

    def _ask(self) -> None:
        self.socket.send(self._request)

    def read(self, into: bytearray) -> None:
        """Take what is there."""
        if not self._left:
            self._read_head()
            return
        got = self.socket.recv_into(into, min(self._left, _AT_ONCE), socket.MSG_TRUNC)
        if not got:
            raise ConnectionError("the server closed the connection within a body")
        self.bytes += got
        self._left -= got
        if not self._left:
            self._ask()

    def _read_head(self) -> None:
        head, end, _ = self.socket.recv(8192, socket.MSG_PEEK).partition(b"\r\n\r\n")
        if not end:
            raise ConnectionError(f"no response: {head[:200]!r}")
        self.socket.recv(len(head) + len(end))
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        if " 200 " not in status + " ":
            raise ConnectionError(status)
        self._left = int(headers["content-length"])


def read(url: str, count: int, seconds: float) -> dict[str, float]:
    """Read for some seconds; return bytes, seconds and readers served."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 80)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    started = time.perf_counter()
    readers = [_Reader(address, request) for _ in range(count)]
    by_number = {reader.socket.fileno(): reader for reader in readers}
    poll = select.epoll()
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    into = bytearray(_AT_ONCE)
    end = started + seconds
    while time.perf_counter() < end:
        for number, _ in poll.poll(1):
            by_number[number].read(into)
    return {
        "bytes": sum(reader.bytes for reader in readers),
        "seconds": time.perf_counter() - started,
        "served": sum(reader.bytes > 0 for reader in readers),
    }


def main() -> None:
    """Read as the command line says and print what came of it."""
    url, count, seconds = sys.argv[1:]
    print(json.dumps(read(url, int(count), float(seconds))))


if __name__ == "__main__":
    main()
