"""A mirror that runs: a data directory of its own, and a server on any free port.

    with running_mirror(tmp_path / "mirror") as mirror:
        mirror.add_source(sample, served.url)
        mirror.select("arch=amd64")
        mirror.sync()
        mirror.read("streams/v1/index.json")          # as a client gets it

Everything here blocks, and may be called from an async test all the same: syncs run in a thread.
"""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import tomli_w

from mirror.model import BootSource, Selection
from mirror.server.options import ServerOptions
from mirror.server.serving import running_server
from mirror.service import Mirror
from mirror.settings import load_settings
from mirror.sync.run import SyncOptions
from mirror.testing.serve import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mirror.model import Finding
    from mirror.settings import Settings
    from mirror.sync.events import Event
    from mirror.sync.result import SyncResult
    from mirror.testing.sample import SampleUpstream

QUICK: dict[str, Any] = {
    "sync": {"attempts": 2, "stall_timeout": "5 s"},
    "store": {"min_free": 0},
    "schedule": {"enabled": False},
}
"""Settings with which what fails fails soon, and nothing happens that no test asked for."""

_EVERYTHING = "arch~."
_PATIENCE = 20.0
"""Seconds until the server must have noticed what was published."""


@dataclass
class RunningMirror:
    """A mirror, and the `url` of its server (no last slash). `events` are of the last sync."""

    mirror: Mirror
    url: str
    events: list[Event] = field(default_factory=list)

    @property
    def data_dir(self) -> Path:
        """Where everything of this mirror is."""
        return self.mirror.settings.data_dir

    @property
    def keyring(self) -> Path:
        """The mirror's own public key, binary: what its clients check signatures with."""
        file = self.data_dir.with_name(f"{self.data_dir.name}-key.gpg")
        if not file.exists():
            file.write_bytes(self.mirror.key.public_binary())
        return file

    def add_source(
        self, sample: SampleUpstream, url: str, *, name: str = "main", priority: int = 0
    ) -> BootSource:
        """Add the sample, served at `url`, as a boot source that is trusted by its own key."""
        keyring = str(sample.keyring) if sample.key else ""
        trust = "signed" if sample.key else "none"
        source = BootSource(name=name, url=url, keyring=keyring, trust=trust, priority=priority)
        return self.mirror.sources.add(source, by="test")

    def select(self, *filters: str, source: str = "", keep: int = 2) -> None:
        """Take what passes the simplestreams filters; without one, everything."""
        chosen = filters or (_EVERYTHING,)
        self.mirror.selections.add(Selection(0, chosen, source=source, keep=keep), by="test")

    def sync(self, options: SyncOptions | None = None) -> SyncResult:
        """Sync, and wait until the server serves what was published. Raises a `MirrorError`."""
        self.events.clear()
        with ThreadPoolExecutor(1) as thread:
            work = self.mirror.syncs.run(options or SyncOptions(), self.events.append)
            result = thread.submit(asyncio.run, work).result()
        if result.status == "published":
            self._wait_for(result.channel, result.snapshot)
        return result

    def channel_url(self, channel: str = "stable") -> str:
        """Return what a MAAS is pointed at, with its last slash."""
        return f"{self.url}/images/{channel}/"

    def read(self, path: str, channel: str = "stable") -> bytes:
        """Return a published file as a client gets it. Raises `FileNotFoundError` for a 404."""
        try:
            with urllib.request.urlopen(self.channel_url(channel) + path) as answer:  # noqa: S310
                body: bytes = answer.read()
                return body
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                raise FileNotFoundError(path) from None
            raise

    def documents(self, channel: str = "stable") -> dict[str, bytes]:
        """Return the plain JSON of the stream, by path, as clients get it."""
        snapshot = self.mirror.store.snapshots.load(self.mirror.snapshots.resolve(channel))
        paths = [path for path in snapshot.files if path.startswith("streams/")]
        return {path: self.read(path, channel) for path in paths if path.endswith(".json")}

    def published(self, channel: str = "stable") -> dict[str, tuple[str, int]]:
        """Return (sha256, size) of every published image file, by path."""
        items = self.mirror.snapshots.show(channel).items
        return {each.path: (each.sha256, each.size) for each in items}

    def versions(self, channel: str = "stable") -> set[tuple[str, str]]:
        """Return every published (product, version)."""
        return {(each.product, each.version) for each in self.mirror.snapshots.show(channel).items}

    def findings(self, channel: str = "stable") -> dict[tuple[str, str], tuple[Finding, ...]]:
        """Return what plugins have found in each published (product, version)."""
        versions = self.mirror.snapshots.show(channel).versions
        return {(each.product, each.version): each.findings for each in versions}

    def _wait_for(self, channel: str, snapshot: str) -> None:
        name = "streams/v1/index-all.json"
        ref = self.mirror.store.snapshots.load(snapshot).files[name]
        wanted = self.mirror.store.blobs.path(ref.sha256).read_bytes()
        until = time.monotonic() + _PATIENCE
        while self._served(name, channel) != wanted:
            if time.monotonic() > until:
                raise TimeoutError(f"the server does not serve {snapshot}, {_PATIENCE} s later")
            time.sleep(0.05)

    def _served(self, path: str, channel: str) -> bytes:
        try:
            return self.read(path, channel)
        except FileNotFoundError:
            return b""


@contextmanager
def running_mirror(
    data_dir: Path, settings: Mapping[str, Any] | None = None
) -> Iterator[RunningMirror]:
    """Make a mirror in a new `data_dir`, and serve it until the block ends.

    `settings` are as in mirror.toml, on top of `QUICK`. Raises `SettingsInvalid`, and what
    `Mirror.create` raises.
    """
    file = data_dir.with_name(f"{data_dir.name}.toml")
    chosen = write_settings(file, settings or {}, data_dir=data_dir)
    with Mirror.create(chosen, name="Mirror under test", algorithm="ed25519") as mirror:
        options = ServerOptions(
            data_dir=str(data_dir), config=str(file), port=0, drain=timedelta(seconds=2)
        )
        with in_thread(running_server(options)) as url:
            yield RunningMirror(mirror, url)


def write_settings(file: Path, settings: Mapping[str, Any], *, data_dir: Path) -> Settings:
    """Write a mirror.toml, and read it as the mirror does. Raises `SettingsInvalid`."""
    file.write_text(tomli_w.dumps(_merged(QUICK, settings)), encoding="utf-8")
    return load_settings(config=file, data_dir=data_dir)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged
