"""Images given to the plugin that checks and builds them, in the process it is confined to."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness import children

from mirror.api import BuildOrder, Finding, Item, Product, Version
from mirror.errors import ImageNotBuildable
from mirror.images.declaration import Declaration, product_of
from mirror.isolation.workshop import Workshop
from mirror.plugin_manager import load_plugins
from mirror.settings import PluginSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
DISTRIBUTION = "custom-images"
MIB = 1024**2


@dataclass(frozen=True)
class Looked:
    """What was found and derived, in how many seconds, with how much memory at most so far."""

    findings: tuple[Finding, ...]
    derived: tuple[str, ...]
    seconds: float
    peak: int

    @property
    def errors(self) -> dict[str, str]:
        """The errors: code -> message."""
        short = {each.code.removeprefix(f"{DISTRIBUTION}-"): each for each in self.findings}
        return {code: each.message for code, each in short.items() if each.severity == "error"}

    @property
    def codes(self) -> set[str]:
        """All codes, without the name of the distribution."""
        return {each.code.removeprefix(f"{DISTRIBUTION}-") for each in self.findings}


class ImageBench:
    """One process of the plugin, with the limits that it has by default."""

    def __init__(self, workshop: Workshop, folder: Path) -> None:
        self._workshop = workshop
        self.folder = folder
        """Where the images are to be."""

    async def inspect(self, file: Path, ftype: str, name: str = "custom/ours") -> Looked:
        """Let it check an image that is said to be of a type."""
        item = Item(
            ftype,
            ftype,
            f"custom/x/{ftype}",
            "0" * 64,
            await asyncio.to_thread(os.path.getsize, file),
        )
        version = Version("20260101", (item,))
        started = time.monotonic()
        inspected = await self._workshop.inspect(
            DISTRIBUTION, _product(name), version, {ftype: file}
        )
        derived = tuple(each.name for each in inspected.derived)
        return Looked(inspected.findings, derived, time.monotonic() - started, peak())

    async def refusal(self, file: Path, ftype: str = "", name: str = "custom/ours") -> str:
        """Let it build an image, which it must refuse; return what it says."""
        order = BuildOrder(ftype=ftype)
        try:
            built, _ = await self._workshop.build(DISTRIBUTION, _product(name), file, order)
        except ImageNotBuildable as error:
            return error.what
        raise AssertionError(f"a {built.ftype} was made")


@asynccontextmanager
async def image_bench(root: Path) -> AsyncIterator[ImageBench]:
    """Start it, below an empty directory."""
    folder, scratch = root / "blobs", root / "scratch"
    folder.mkdir()
    scratch.mkdir()
    plugins = load_plugins(allow=["custom_images"], strict=True)
    settings = PluginSettings(processes=1)
    async with Workshop(settings, plugins, scratch=scratch, readable=(folder,)) as workshop:
        yield ImageBench(workshop, folder)


def peak() -> int:
    """Return the most bytes of memory that the process of the plugin has had."""
    own = children(os.getpid()).items()
    [worker] = [process for process, command in own if "mirror.isolation" in command]
    status = Path(f"/proc/{worker}/status").read_text(encoding="ascii").splitlines()
    [line] = [each for each in status if each.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def _product(name: str) -> Product:
    os_name, _, release = name.partition("/")
    return product_of(Declaration(os=os_name, release=release))
