"""What every benchmark is given."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from benchmarks import upstream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Context:
    """`cache` keeps what is slow to make. `scale` shrinks sizes and times, to try things out."""

    cache: Path
    scale: float
    rounds: int

    @cached_property
    def upstream(self) -> upstream.Upstream:
        """The signed stream, made when it is first needed."""
        return upstream.prepare(self.cache, self.scale)

    def folder(self, name: str) -> Path:
        """Return an empty folder, and let the disk come to rest."""
        path = self.cache / "run" / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        os.sync()
        return path

    def drop(self, *paths: Path) -> None:
        """Delete what a round has written."""
        for path in paths:
            shutil.rmtree(path, ignore_errors=True)


def taken_in_turns(rounds: int, names: Sequence[str]) -> list[str]:
    """Return the names, A B A B ..., each `rounds` times; every second pair begins with B."""
    turns: list[str] = []
    for number in range(rounds):
        turns += names if number % 2 == 0 else names[::-1]
    return turns
