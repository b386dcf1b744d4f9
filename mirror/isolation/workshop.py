"""Where plugins work on files: a few processes, each with one plugin, started when needed.

A process is used for version after version. It is killed, with all that it started, when its plugin
goes beyond a limit, when the work is cancelled, and when the workshop closes; the next version gets
a fresh one.
"""

from __future__ import annotations

import asyncio
import os
import stat
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from mirror.api import Built, Derived, Finding
from mirror.errors import DerivedRefused, ImageNotBuildable, ManifestUnreadable
from mirror.isolation import messages
from mirror.isolation.messages import (
    Build,
    Image,
    Inspect,
    Inspection,
    ListPackages,
    Notify,
    Ready,
)
from mirror.isolation.pool import Pool, Turn
from mirror.plugin_manager.records import EVENT_HOOKS
from mirror.plugin_manager.words import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from mirror.api import BuildOrder, Package, Product, SnapshotPublished, SyncFinished, Version
    from mirror.isolation.messages import Made, Step
    from mirror.plugin_manager import Plugins
    from mirror.settings import PluginSettings

T = TypeVar("T")

_NOTIFY_SECONDS = 30.0
_LONGEST_MESSAGE = 1000
"""Characters of a finding."""
_NOT_THERE = "the image is not a file in its scratch directory"
_LONGEST_NAME = 300
"""Characters of a finding's code, and of where it is."""


class Inspected(msgspec.Struct, frozen=True):
    """What a plugin found in a version, and made of it.

    The files of `derived` are below `folder`, out of the plugin's reach, and are the caller's now;
    None: there are no files.
    """

    findings: tuple[Finding, ...]
    derived: tuple[Derived, ...] = ()
    folder: Path | None = None


class Workshop:
    """Lets plugins work, `[plugins] processes` at once. Use it in `async with`.

    No process starts before there is work. `scratch` is an empty directory for it alone. Workers
    read what is below `readable`; below `private` they read nothing else.
    """

    def __init__(
        self,
        settings: PluginSettings,
        plugins: Plugins,
        *,
        scratch: Path,
        readable: tuple[Path, ...] = (),
        private: tuple[Path, ...] = (),
    ) -> None:
        self._plugins = plugins
        self._scratch = scratch
        self._pool = Pool(settings, scratch, readable, private)
        self._threads = ThreadPoolExecutor(settings.processes, thread_name_prefix="workshop")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        self._pool.close()

    async def inspect(
        self,
        distribution: str,
        product: Product,
        version: Version,
        files: Mapping[str, Path],
        *,
        accepted: tuple[str, ...] = (),
    ) -> Inspected:
        """Let the plugin validate a version, and derive from it where it finds no error.

        Errors whose codes are `accepted` do not keep it from deriving.

        Raises `PluginError`, `PluginLimitExceeded`, `PluginCrashed`, `PluginTrespassed` and
        `DerivedRefused`.
        """

        def work(turn: Turn) -> Inspected:
            with self._pool.process(turn, plugin, about) as (process, ask):
                folder = process.new_folder()
                at = os.fspath(folder)
                request = Inspect(distribution, product, version, given, at, accepted)
                return self._taken(ask(request, Inspection), folder, about)

        plugin, about = self._about(distribution, product, version)
        given = _as_text(files)
        return await self._do(work)

    async def packages(
        self, distribution: str, product: Product, version: Version, files: Mapping[str, Path]
    ) -> tuple[Package, ...]:
        """Let the plugin list the packages in a version.

        Raises what `inspect` does, and `ManifestUnreadable`.
        """

        def work(turn: Turn) -> tuple[Package, ...]:
            with self._pool.process(turn, plugin, about) as (_, ask):
                request = ListPackages(distribution, product, version, given)
                return ask(request, messages.Packages).packages

        plugin, about = self._about(distribution, product, version)
        given = _as_text(files)
        try:
            return await self._do(work)
        except ManifestUnreadable as error:  # what was read is to blame, not the plugin
            why = error.what.removeprefix(f"{about}: ")
            what = f"the list of packages of {product.name!r} {version.name} {why}"
            raise ManifestUnreadable(what) from None

    async def build(
        self,
        distribution: str,
        product: Product,
        file: Path,
        order: BuildOrder,
        report: Callable[[int, int], None] | None = None,
    ) -> tuple[Built, Path]:
        """Let the plugin make an image from a file; return it, and the folder that it is in.

        The folder is out of the plugin's reach, and the caller's now. `report` is called from a
        thread, with the bytes that are done and all there are. Raises what `inspect` does, and
        `ImageNotBuildable`.
        """

        def step(said: Step) -> None:
            if report is not None:
                report(said.done, said.total)

        def work(turn: Turn) -> tuple[Built, Path]:
            with self._pool.process(turn, plugin, about) as (process, ask):
                folder = process.new_folder()
                request = Build(distribution, product, os.fspath(file), order, os.fspath(folder))
                image = ask(request, Image, on_step=step)
                return self._built(image, folder, about)

        plugin = self._plugins.plugin_of(distribution)
        about = f"plugin {plugin!r} failed to build {product.os}/{product.release}"
        try:
            return await self._do(work)
        except ImageNotBuildable as error:  # the file is to blame, not the plugin
            what = f"{product.os}/{product.release}: {error.what.removeprefix(f'{about}: ')}"
            raise ImageNotBuildable(what, remedy=error.remedy) from None

    async def notify(self, plugin: str, event: SyncFinished | SnapshotPublished) -> None:
        """Let a plugin hear of an event: in a process for it alone, with the network, 30 seconds.

        Raises what `inspect` does.
        """

        def work(turn: Turn) -> None:
            about = f"plugin {plugin!r} failed to hear of {hook.removeprefix('mirror_')}"
            with self._pool.free_process(turn, plugin, about, _NOTIFY_SECONDS) as (_, ask):
                ask(Notify(hook, msgspec.Raw(msgspec.json.encode(event))), Ready)

        hook = EVENT_HOOKS[type(event)]
        await self._do(work)

    # --- how --------------------------------------------------------------------------------------

    async def _do(self, work: Callable[[Turn], T]) -> T:
        """Do the work in a thread; when this is cancelled, the process that does it is killed."""
        turn = Turn()
        future = self._threads.submit(work, turn)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            turn.cancel()
            await asyncio.to_thread(wait, [future])
            raise

    def _about(self, distribution: str, product: Product, version: Version) -> tuple[str, str]:
        """Return the plugin to ask, and what errors begin with."""
        plugin = self._plugins.plugin_of(distribution)
        return plugin, f"plugin {plugin!r} failed on {product.name!r} {version.name}"

    def _built(self, image: Image, folder: Path, about: str) -> tuple[Built, Path]:
        taken = self._scratch / f"{folder.parent.name}-{folder.name}"
        folder.rename(taken)
        file = Path(image.file)
        if ".." in file.parts or not file.is_relative_to(folder):
            raise DerivedRefused(f"{about}: {_NOT_THERE}")
        made = taken / file.relative_to(folder)
        if not _is_plain_below(made, taken):
            raise DerivedRefused(f"{about}: {_NOT_THERE}")
        return _cleaned_built(image, made), taken

    def _taken(self, inspection: Inspection, folder: Path, about: str) -> Inspected:
        """Put what was made where the plugin, which may be running still, can't reach it."""
        findings = tuple(map(_clean, inspection.findings))
        if not inspection.made:
            return Inspected(findings)
        taken = self._scratch / f"{folder.parent.name}-{folder.name}"
        folder.rename(taken)
        derived = tuple(_moved(each, folder, taken, about) for each in inspection.made)
        return Inspected(findings, derived, taken)


def _is_plain_below(file: Path, folder: Path) -> bool:
    """Say whether it is a plain file of one name, with no link on the way to it."""
    try:
        found = file.lstat()
        below = file.parent.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):
        return False
    return below and stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _cleaned_built(image: Image, file: Path) -> Built:
    findings = tuple(map(_clean, image.findings))
    return Built(ftype=image.ftype, file=file, findings=findings, attributes=image.attributes)


def _moved(made: Made, folder: Path, taken: Path, about: str) -> Derived:
    file = Path(made.file)
    if ".." in file.parts or not file.is_relative_to(folder):
        name = clean(made.name, _LONGEST_NAME)
        what = f"{about}: derived item {name!r} is not a file in its scratch directory"
        raise DerivedRefused(what)
    moved = taken / file.relative_to(folder)
    return Derived(made.name, made.ftype, made.path, moved, made.attributes)


def _clean(finding: Finding) -> Finding:
    return Finding(
        finding.severity,
        clean(finding.code, _LONGEST_NAME),
        clean(finding.where, _LONGEST_NAME),
        clean(finding.message, _LONGEST_MESSAGE),
    )


def _as_text(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: os.fspath(file) for name, file in files.items()}
