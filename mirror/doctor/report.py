"""What the doctor found: one value a check, and one a generation of MAAS."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from mirror.errors import MirrorError


class State(StrEnum):
    """How a thing is. A `problem` needs someone; a `warning` should be looked at."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at. `name` is stable; `remedy` says what to do, '' if nothing."""

    name: str
    state: State
    what: str
    remedy: str = ""


class Offered(msgspec.Struct, frozen=True):
    """An image that a MAAS would offer: its architectures, and the newest version of each."""

    os: str
    release: str
    title: str
    versions: dict[str, str]


class Ignored(msgspec.Struct, frozen=True):
    """A product that a MAAS would not take, and why."""

    product: str
    why: str


class Arch(msgspec.Struct, frozen=True):
    """Whether machines of an architecture can be commissioned, and boot over the network.

    `commissioning` are the releases that have a kernel, an initrd and a root file system.
    """

    arch: str
    commissioning: tuple[str, ...]
    bootloaders: tuple[str, ...]
    missing_bootloaders: tuple[str, ...]


class Generation(msgspec.Struct, frozen=True):
    """What a MAAS of one generation would see of a channel, and how to point it there.

    `fails` says why its import of the whole boot source would fail. `commands` are for its region
    controller, in order.
    """

    maas: str
    url: str
    offered: tuple[Offered, ...]
    ignored: tuple[Ignored, ...]
    arches: tuple[Arch, ...]
    fails: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """All of it. `channel` is the one that `maas` is about; '' when nothing is published."""

    checks: tuple[Check, ...]
    channel: str = ""
    maas: tuple[Generation, ...] = ()

    @property
    def exit_status(self) -> int:
        """Return 1 when there is a problem, else 0."""
        return int(any(check.state is State.PROBLEM for check in self.checks))


def ok(name: str, what: str) -> Check:
    """Return a check that found all well."""
    return Check(name, State.OK, what)


def warning(name: str, what: str, remedy: str = "") -> Check:
    """Return a check that found something to look at."""
    return Check(name, State.WARNING, what, remedy)


def problem(name: str, what: str, remedy: str = "") -> Check:
    """Return a check that found something wrong."""
    return Check(name, State.PROBLEM, what, remedy)


def failed(name: str, error: MirrorError, *, state: State = State.PROBLEM) -> Check:
    """Return a check of something that answered with an error of ours."""
    return Check(name, state, f"{error.what} [{error.code}]", error.remedy)
