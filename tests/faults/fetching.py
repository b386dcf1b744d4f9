"""What the fetch tests share: files to serve, a store to fill, and one call that does it."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

from mirror.model import BootSource
from mirror.store.blobs import LocalBlobs
from mirror.store.incoming import Incoming
from mirror.sync.fetch import FetchFailure, FetchOptions, Wanted, fetch_files
from mirror.sync.http import open_session

if TYPE_CHECKING:
    from pathlib import Path

    from mirror.sync.events import Event

QUICK = FetchOptions(attempts=3, wait_initial=0.01, wait_max=0.02, batch=8_000)


class Pool:
    """The two parts of a store that a fetch needs, and the events that it sent."""

    def __init__(self, root: Path) -> None:
        self.blobs = LocalBlobs(root / "blobs")
        self.incoming = Incoming(root / "incoming")
        self.events: list[Event] = []
        self.blobs.root.mkdir(parents=True, exist_ok=True)
        self.incoming.root.mkdir(exist_ok=True)

    async def fetch(
        self,
        url: str,
        wanted: list[Wanted],
        options: FetchOptions = QUICK,
        *,
        stall: float = 5,
        **source: object,
    ) -> list[FetchFailure]:
        boot_source = BootSource(name="source", url=url + "/", **source)  # type: ignore[arg-type]
        async with open_session(boot_source, connect=2, stall=stall) as http:
            return await fetch_files(wanted, http, self, options=options, emit=self.events.append)

    def of(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def progress(self) -> int:
        """How many bytes a progress bar would show."""
        from mirror.sync.events import Discarded, Received

        received = sum(event.bytes for event in self.of(Received))  # type: ignore[attr-defined]
        return received - sum(event.bytes for event in self.of(Discarded))  # type: ignore[attr-defined]

    def leftovers(self) -> list[str]:
        return sorted(entry.name for entry in self.incoming.root.iterdir())


def make_file(root: Path, name: str, size: int) -> bytes:
    data = random.Random(name).randbytes(size)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data


def wanted_of(url: str, name: str, data: bytes) -> Wanted:
    return Wanted(hashlib.sha256(data).hexdigest(), len(data), name, f"{url}/{name}")
