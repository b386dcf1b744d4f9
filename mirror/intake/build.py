"""Make an image of a file: what a plugin does, and where what it makes lies."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.api import BuildOrder
from mirror.errors import ImageFileUnusable, ImageNameRefused
from mirror.images.declaration import declared, product_of
from mirror.images.records import MadeFrom
from mirror.intake.look import distribution_of, errors_of, judged_names, workshop_settings
from mirror.intake.receive import plain_size, receive
from mirror.isolation.workshop import Workshop
from mirror.model import Finding  # noqa: TC001  (msgspec looks at it)
from mirror.store.durable import disk_errors, sync_dir, sync_file
from mirror.sync.events import FileDone, Planned, Received

if TYPE_CHECKING:
    from mirror.api import Built
    from mirror.intake.order import TakeOrder
    from mirror.plugin_manager import Plugins
    from mirror.settings import Settings
    from mirror.sync.events import Emit, Event


async def build_for(
    order: TakeOrder,
    scratch: Path,
    *,
    plugins: Plugins,
    settings: Settings,
    private: tuple[Path, ...] = (),
    emit: Emit,
) -> Built:
    """Let the plugin make an image of the order's file; it is below `scratch`, which is made here.

    Raises `ImageNameRefused`, `ImageFileUnusable`, and what `Workshop.build` does.
    """
    building = order.building
    file, hooks = await asyncio.to_thread(_paths, order.file, building.hooks if building else "")
    declaration = declared(order.wanted)
    errors = errors_of(judged_names(declaration))
    if errors:
        raise ImageNameRefused("; ".join(each.message for each in errors))
    wish = BuildOrder(
        ftype=order.wanted.ftype, hooks=hooks, options=building.options if building else {}
    )
    await asyncio.to_thread(scratch.mkdir)
    workshop = Workshop(
        workshop_settings(settings),
        plugins,
        scratch=scratch,
        readable=(file, hooks) if hooks else (file,),
        private=private,
    )
    steps = _Steps(file.name, emit)
    async with workshop:
        built, _ = await workshop.build(
            distribution_of(declaration, plugins),
            product_of(declaration),
            file,
            wish,
            steps.report,
        )
    steps.end()
    return built


def _paths(file: str, hooks: str) -> tuple[Path, Path | None]:
    resolved = Path(file).resolve()
    plain_size(resolved)
    folder = Path(hooks).resolve() if hooks else None
    if folder is not None and not folder.is_dir():
        raise ImageFileUnusable(f"{folder} is no directory of curtin hooks")
    return resolved, folder


class BuiltFile(msgspec.Struct, frozen=True, kw_only=True):
    """An image that was made, and written to `file`."""

    file: str
    ftype: str
    sha256: str
    size: int
    made_from: MadeFrom
    findings: tuple[Finding, ...] = ()


async def build_to(
    output: Path, order: TakeOrder, *, settings: Settings, plugins: Plugins, emit: Emit
) -> BuiltFile:
    """Make an image of the order's file, and write it to `output`: whole, or not at all.

    Scratch space is beside it. A plain file that is there is replaced. Raises what `build_for`
    does, and the errors of the disk.
    """
    await asyncio.to_thread(_check_output, output, Path(order.file))
    with (
        disk_errors(output.parent),
        tempfile.TemporaryDirectory(prefix=".mirror-build.", dir=output.parent) as folder,
    ):
        made_from, built = await asyncio.gather(
            built_from(Path(order.file), order),
            build_for(order, Path(folder) / "build", plugins=plugins, settings=settings, emit=emit),
        )
        done = await receive(built.file, None, 2**63 - 1, _unsaid)
        await asyncio.to_thread(_put, built.file, output)
    return BuiltFile(
        file=str(output),
        ftype=built.ftype,
        sha256=done.sha256,
        size=done.size,
        made_from=made_from,
        findings=built.findings,
    )


def _check_output(output: Path, source: Path) -> None:
    """Refuse what can't be written to before hours go into it, and what would lose something."""
    if not output.parent.is_dir():
        raise ImageFileUnusable(
            f"there is no directory {output.parent}",
            remedy="Make it, or write the image elsewhere.",
        )
    if (output.exists() or output.is_symlink()) and not output.is_file():
        raise ImageFileUnusable(
            f"{output} is no plain file, and is not replaced by one",
            remedy="Give the name of a file that may be there or not.",
        )
    if output.exists() and source.exists() and output.samefile(source):
        raise ImageFileUnusable(
            f"{output} is what the image is to be made from",
            remedy="Write the image to another file.",
        )


def _put(file: Path, output: Path) -> None:
    sync_file(file)
    file.chmod(0o644)
    file.replace(output)
    sync_dir(output.parent)


async def built_from(file: Path, order: TakeOrder) -> MadeFrom:
    """Return what to remember of the file that an image is built from."""
    done = await receive(file, None, 2**63 - 1, _unsaid)
    options = order.building.options if order.building else {}
    return MadeFrom(file=file.name, sha256=done.sha256, size=done.size, options=options)


class _Steps:
    """Turns what a build reports, from a thread of its own, into events."""

    def __init__(self, name: str, emit: Emit) -> None:
        self._loop = asyncio.get_running_loop()
        self._name = name
        self._emit = emit
        self._total = -1
        self._done = 0

    def report(self, done: int, total: int) -> None:
        """Take note of how far it is."""
        self._loop.call_soon_threadsafe(self._step, done, total)

    def end(self) -> None:
        """Say that all is done."""
        if self._total >= 0:
            self._emit(Received(self._name, self._total - self._done))
            self._emit(FileDone(self._name, self._total))

    def _step(self, done: int, total: int) -> None:
        if total != self._total:
            self._emit(Planned(1, total))
            self._total, self._done = total, 0
        self._emit(Received(self._name, done - self._done))
        self._done = done


def _unsaid(event: Event) -> None:
    del event
