"""The process of one plugin: `python -m mirror.isolation.worker`.

It is told what it is for, gives up what it need not have, loads its plugin, and then does what it
is asked until the other side is gone. What a plugin prints goes nowhere; standard error is kept by
the mirror for the message about a crash.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import sys
import time
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from mirror.api import (
    ENTRY_POINT_GROUP,
    BuildRefused,
    Built,
    Derived,
    Distribution,
    Finding,
    Package,
    Severity,
)
from mirror.errors import PluginBroken
from mirror.formats import FormatError
from mirror.isolation import messages
from mirror.isolation.confine import confine, end_with, limit, system_files
from mirror.isolation.guard import Guard, Trespass
from mirror.isolation.landlock import landlock_version
from mirror.isolation.messages import (
    MAX_DERIVED,
    MAX_FINDINGS,
    MAX_PACKAGES,
    Build,
    Failed,
    Image,
    Inspect,
    Inspection,
    ListPackages,
    Made,
    Notify,
    Packages,
    Ready,
    Reply,
    Request,
    Start,
    Step,
)
from mirror.plugin_manager import Plugins, load_plugins

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")

_STEP = 0.2
"""Seconds between two reports of how far a build is."""
_MAX_WORDS = 2000
"""Characters of an error that a plugin raised."""

_start = msgspec.json.Decoder(Start).decode
_request: msgspec.json.Decoder[Request] = msgspec.json.Decoder(
    Request, dec_hook=messages.path_of_text
)


class TooMuch(Exception):
    """A plugin had more to say than anyone would read."""


def main() -> None:
    """Do what the process at the other end of standard input and output asks for."""
    end_with(int(sys.argv[1]))
    requests, replies = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    first = messages.read_frame(requests)
    if first is None:
        return
    worker = Worker(_start(first), replies)
    messages.write_all(replies, worker.reply(None))
    own = os.getpid()
    while (request := messages.read_frame(requests)) is not None:
        reply = worker.reply(_request.decode(request))
        if os.getpid() != own:  # a child that the plugin forked, and that came back
            os._exit(0)
        messages.write_all(replies, reply)


class Worker:
    """One plugin, ready for work."""

    def __init__(self, start: Start, replies: int) -> None:
        self._start = start
        self._replies = replies
        self._plugins = Plugins((), ())
        self._distributions: dict[str, Distribution] = {}
        self._guard = Guard(start.scratch, ())

    def reply(self, request: Request | None) -> bytes:
        """Do what is asked (None: get ready), whatever the plugin's code may raise."""
        try:
            done = self._get_ready() if request is None else self._do(request)
            answer = messages.frame(done)
            _check(answer)
        except BaseException as error:  # noqa: BLE001  (a plugin's code: anything may come)
            return messages.frame(self._failed(error, request))
        if self._guard.trespasses:  # the plugin has swallowed the error
            return messages.frame(Failed("trespass", self._guard.trespasses.pop(0)))
        return answer

    # --- getting ready ----------------------------------------------------------------------------

    def _get_ready(self) -> Ready:
        start = self._start
        entry = _entry(start.plugin)
        if start.confined:
            home = Path(start.scratch) / messages.HOME
            home.mkdir(exist_ok=True)
            os.chdir(home)
            os.environ.update(HOME=str(home), TMPDIR=str(home))
            limit(memory=start.memory, disk=start.disk)
            readable = system_files([*_where_it_is(entry), *start.readable], start.private)
            confine(scratch=start.scratch, readable=readable)
            self._guard = Guard(start.scratch, None if landlock_version() else readable)
            self._guard.watch()
        self._plugins = load_plugins(
            found=[entry], strict=True, sections={start.plugin: start.section}
        )
        self._distributions = {each.id: each for each in self._plugins.distributions}
        return Ready()

    # --- the work ---------------------------------------------------------------------------------

    def _do(self, request: Request) -> Reply:
        if isinstance(request, Notify):
            event = msgspec.json.decode(request.event, type=messages.EVENTS[request.hook])
            self._plugins.tell(self._start.plugin, event)
            return Ready()
        distribution = self._distributions[request.distribution]
        if isinstance(request, Build):
            return self._build(distribution, request)
        files = {name: Path(file) for name, file in request.files.items()}
        if isinstance(request, ListPackages):
            listed = distribution.packages(request.product, request.version, files)
            return Packages(tuple(_each(listed, Package, MAX_PACKAGES, "packages")))
        return _inspect(distribution, request, files)

    def _build(self, distribution: Distribution, request: Build) -> Image:
        said = 0.0

        def report(done: int, total: int) -> None:
            nonlocal said
            now = time.monotonic()
            if now - said >= _STEP:
                said = now
                messages.write_all(self._replies, messages.frame(Step(int(done), int(total))))

        file, scratch = Path(request.file), Path(request.scratch)
        built = distribution.build(request.product, file, request.order, scratch, report)
        if not isinstance(built, Built):
            raise TypeError(f"it gave {built!r} for an image, not a Built")
        findings = tuple(_each(built.findings, Finding, MAX_FINDINGS, "findings"))
        return Image(built.ftype, os.fspath(built.file), findings, built.attributes)

    # --- what went wrong --------------------------------------------------------------------------

    def _failed(self, error: BaseException, request: Request | None) -> Failed:
        if self._guard.trespasses:
            return Failed("trespass", self._guard.trespasses.pop(0))
        if isinstance(error, PermissionError) and _is_elsewhere(error, self._start.scratch):
            return Failed("trespass", f"it tried to use {error.filename}")
        if isinstance(error, FormatError) and isinstance(request, ListPackages):
            return Failed("unreadable", str(error)[:_MAX_WORDS])
        if isinstance(request, Build) and isinstance(error, BuildRefused):
            return Failed("refused", error.what[:_MAX_WORDS], error.remedy[:_MAX_WORDS])
        if isinstance(request, Build) and isinstance(error, FormatError):
            what = f"{Path(request.file).name} {error}"
            return Failed("refused", what[:_MAX_WORDS], "Get the file anew, and try again.")
        too_far = _too_far(error)
        return Failed("limit", too_far) if too_far else Failed("raised", _words(error))


def _inspect(distribution: Distribution, request: Inspect, files: Mapping[str, Path]) -> Inspection:
    product, version = request.product, request.version
    said = distribution.validate(product, version, files)
    findings = tuple(_each(said, Finding, MAX_FINDINGS, "findings"))
    errors = {each.code for each in findings if each.severity is Severity.ERROR}
    if errors.difference(request.accepted):
        return Inspection(findings)
    derived = distribution.derive(product, version, files, Path(request.scratch))
    made = tuple(
        Made(each.name, each.ftype, each.path, os.fspath(each.file), each.attributes)
        for each in _each(derived, Derived, MAX_DERIVED, "derived files")
    )
    return Inspection(findings, made)


def _each(given: Iterable[T], kind: type[T], most: int, name: str) -> list[T]:
    """Return what a method gave, if it is of the right kind and not without end."""
    found = list(islice(given, most + 1))
    if len(found) > most:
        raise TooMuch(f"it gave more than {most:,} {name}")
    for each in found:
        if not isinstance(each, kind):
            raise TypeError(f"it gave {each!r} for one of the {name}, not a {kind.__name__}")
    return found


def _check(answer: bytes) -> None:
    """Raise what is wrong with a reply, as the mirror would find it."""
    if len(answer) > messages.MAX_REPLY:
        raise TooMuch(f"it gave more than {messages.MAX_REPLY:,} bytes to say")
    msgspec.json.decode(memoryview(answer)[messages.HEAD.size :], type=Reply)


def _entry(plugin: str) -> EntryPoint:
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=plugin):
        return entry
    raise PluginBroken(f"plugin {plugin!r} is not installed any more")


def _where_it_is(entry: EntryPoint) -> list[str]:
    """Return where the plugin's package is: an editable one may be on no path of Python's."""
    spec = None
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(entry.module.partition(".")[0])
    if spec is None:
        return []
    places = list(spec.submodule_search_locations or ())
    return places or ([spec.origin] if spec.has_location and spec.origin else [])


def _too_far(error: BaseException) -> str:
    """Say which limit an error means; '' if none."""
    if isinstance(error, MemoryError):
        return "it took more memory than it may"
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return "it wrote more than it may"
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "there is no room left on the disk"
    return str(error) if isinstance(error, TooMuch) else ""


def _is_elsewhere(error: PermissionError, scratch: str) -> bool:
    file = error.filename
    return isinstance(error, Trespass) or (
        isinstance(file, str) and not Path(file).is_relative_to(scratch)
    )


def _words(error: BaseException) -> str:
    """Return an error in a line, and where it was raised."""
    if isinstance(error, PluginBroken):
        return error.what
    import traceback

    said = traceback.format_exception_only(error)[-1].strip()[:_MAX_WORDS]
    frames = traceback.extract_tb(error.__traceback__)
    own = os.path.dirname(__file__)  # noqa: PTH120
    if not frames or frames[-1].filename.startswith(own):
        return said
    return f"{said} ({Path(frames[-1].filename).name}:{frames[-1].lineno})"


if __name__ == "__main__":
    main()
