"""The server: MIR-7xx."""

from __future__ import annotations

from mirror.errors.base import MirrorError


class ServeError(MirrorError, code="MIR-700"):
    """The server could not start or go on."""

    remedy = "See the log for the cause."


class PortInUse(ServeError, code="MIR-701"):
    """Another program listens on that port."""

    remedy = "Choose another with --port, or stop the program that has it (`ss -ltnp`)."


class AddressUnusable(ServeError, code="MIR-702"):
    """The address can't be listened on."""

    remedy = "Give an address of this machine with --host; ports below 1024 need privileges."
