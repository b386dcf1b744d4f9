"""Tell systemd how we are: READY=1, WATCHDOG=1, STOPPING=1 (see sd_notify(3))."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import suppress

_log = logging.getLogger(__name__)


def notify(*assignments: str) -> None:
    """Send assignments such as `READY=1` to the service manager; without one, do nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # a name in the kernel, not in a directory
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(0)
            sock.sendto("\n".join(assignments).encode(), address)
    except OSError as error:
        _log.warning("the service manager could not be told %s: %s", assignments, error)


def watchdog_interval() -> float | None:
    """Return in seconds how often to send WATCHDOG=1: twice as often as asked; None for never."""
    with suppress(ValueError):
        if os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            microseconds = int(os.environ.get("WATCHDOG_USEC", "0"))
            return microseconds / 2_000_000 if microseconds > 0 else None
    return None
