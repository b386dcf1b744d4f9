"""Images that are good, and short ways to take them in."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
from pathlib import Path
from typing import Any

import msgspec
from harness import MirrorUnderTest

from mirror.images.declaration import Wanted
from mirror.intake.lint import lint_image
from mirror.intake.order import Taken, TakeOrder
from mirror.testing.artefacts import root_tgz
from mirror.testing.tools import tool

CENTOS = "custom:v1:centos:centos8:amd64:generic"


def order(file: Path, name: str = "centos/centos8", **more: Any) -> TakeOrder:
    said = {key: more.pop(key) for key in set(more) & set(Wanted.__struct_fields__)}
    return TakeOrder(file=str(file), wanted=Wanted(name=name, **said), by="test", **more)


class Images:
    """Takes images in, in this process."""

    def __init__(self, mut: MirrorUnderTest, folder: Path) -> None:
        self.mut = mut
        self.folder = folder

    def file(self, seed: str = "a", size: int = 60_000) -> Path:
        """Make a good root file system, always another one."""
        path = self.folder / f"{seed}.tar.gz"
        path.write_bytes(root_tgz(seed, size))
        return path

    def disk(self, size: int = 8 * 2**20) -> Path:
        """Make a disk of one empty partition: nothing that could be deployed."""
        raw = self.folder / "disk.raw"
        with raw.open("wb") as file:
            file.truncate(size)
        command = [tool("sgdisk"), "--new=1:2048:0", raw]
        subprocess.run(command, check=True, capture_output=True)
        path = self.folder / "disk.gz"
        path.write_bytes(gzip.compress(raw.read_bytes(), mtime=0))
        return path

    def take(self, file: Path, name: str = "centos/centos8", **more: Any) -> Taken:
        return asyncio.run(self.taking(order(file, name, **more)))

    async def taking(self, wanted: TakeOrder) -> Taken:
        return await self.mut.mirror.custom_images.take(wanted, self.mut.events.append)

    async def taking_of(
        self, file: Path, name: str = "centos/centos8", *, accept_all: bool = False
    ) -> Taken:
        """Take an image in from a coroutine, and take on whatever is wrong with it if need be."""
        wanted = order(file, name)
        if accept_all:
            report = await lint_image(
                file,
                wanted.wanted,
                settings=self.mut.mirror.settings,
                plugins=self.mut.mirror.plugins,
            )
            codes = tuple({each.code for each in report.findings})
            wanted = msgspec.structs.replace(wanted, accept=codes)
        return await self.taking(wanted)

    def left(self) -> list[str]:
        """Name what lies in `incoming`."""
        return [each.name for each in (self.mut.root / "incoming").iterdir()]
