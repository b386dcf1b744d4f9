"""A mirror with something in it, served as operators have it, and a client for its API."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from mirror.model import BootSource, Role, Selection
from mirror.server.options import ServerOptions
from mirror.server.serving import running_server
from mirror.service import Mirror
from mirror.settings import Settings, StoreSettings, SyncSettings
from mirror.sync.run import SyncOptions
from mirror.testing.install import install_plugin, module_name
from mirror.testing.sample import SampleUpstream
from mirror.testing.serve import serve_in_thread

WAIT = 30
"""Seconds for an answer: far more than any takes, on a machine that does other things, too."""


@contextlib.contextmanager
def served(options: ServerOptions) -> Iterator[str]:
    """Serve in a thread, and yield the base URL."""
    started: list[str] = []
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    up = threading.Event()
    failed: list[BaseException] = []

    async def serve() -> None:
        end = asyncio.Event()
        stop.append((asyncio.get_running_loop(), end))
        async with running_server(options) as url:
            started.append(url)
            up.set()
            await end.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            failed.append(error)
            up.set()

    thread = threading.Thread(target=run)
    thread.start()
    up.wait(WAIT)
    try:
        if failed:
            raise failed[0]
        yield started[0]
    finally:
        for loop, end in stop:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(end.set)
        thread.join(WAIT)
    if failed:
        raise failed[0]


@dataclass
class Api:
    """The API of one served mirror. `tokens` are secrets by role, and by name of the test."""

    url: str
    mirror: Mirror
    tokens: dict[str, str] = field(default_factory=dict)

    def __call__(
        self, method: str, path: str, *, token: str = "admin", **more: Any
    ) -> requests.Response:
        """Send a request; `token` '' sends none."""
        headers = {**more.pop("headers", {})}
        if token:
            headers["Authorization"] = f"Bearer {self.tokens.get(token, token)}"
        return requests.request(
            method, f"{self.url}/api/v1{path}", headers=headers, timeout=WAIT, **more
        )

    def get(self, path: str, **more: Any) -> Any:
        """Return what a GET answers, which must be 200."""
        answer = self("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def token(self, name: str, role: Role, *channels: str) -> str:
        """Make a token, which tests then know by its name."""
        made = self.mirror.tokens.create(name, role, channels, by="test")
        self.tokens[name] = made.secret
        return made.secret


def last_change(api: Api) -> tuple[str, str, str]:
    """Return the action, the subject and the actor of the newest entry of the audit log."""
    [entry] = api.get("/audit?limit=1")["items"]
    return entry["action"], entry["subject"], entry["actor"]


def admin(api: Api) -> str:
    """Return what the audit log calls who uses the token 'admin'."""
    [token] = [each for each in api.get("/tokens")["items"] if each["name"] == "admin"]
    return f"token:{token['id']} admin"


@contextlib.contextmanager
def mirror_with_images(folder: Path, signing_key: Any) -> Iterator[tuple[Mirror, SampleUpstream]]:
    """Make a mirror that has synced a sample twice, and has two channels; yield it and the sample.

    `stable` has both versions, `candidate` only the first.
    """
    sample = SampleUpstream.create(folder / "upstream", key=signing_key)
    settings = Settings(
        data_dir=folder / "data",
        sync=SyncSettings(attempts=1, stall_timeout=2),
        store=StoreSettings(min_free=0),
    )
    with (
        serve_in_thread(sample.root, []) as url,
        Mirror.create(settings, name="Mirror under test", algorithm="ed25519") as mirror,
    ):
        source = BootSource(name="main", url=url, keyring=str(sample.keyring))
        mirror.sources.add(source, by="test")
        mirror.selections.add(Selection(0, ("os~.*",)), by="test")
        first = sync(mirror)
        mirror.channels.create("candidate", first, by="test")
        sample.add_version()
        sample.write()
        sync(mirror)
        yield mirror, sample


def sync(mirror: Mirror, **options: Any) -> str:
    """Sync, and return the snapshot."""
    done = asyncio.run(mirror.syncs.run(SyncOptions(**options), lambda _: None, by="test"))
    assert done.status == "published", done
    return done.snapshot


@contextlib.contextmanager
def served_api(mirror: Mirror, **options: Any) -> Iterator[Api]:
    """Serve a mirror, and yield its API with a token of each role."""
    chosen = ServerOptions(data_dir=str(mirror.settings.data_dir), port=0, **options)
    with served(chosen) as url:
        api = Api(url, mirror)
        for role in Role:
            api.token(role.value, role)
        yield api


@contextlib.contextmanager
def installed_plugin(folder: Path, name: str, source: str) -> Iterator[None]:
    """Install a plugin, as pip would, for this process and those that it starts."""
    folder.mkdir(parents=True, exist_ok=True)
    install_plugin(folder, name, source)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield
    sys.modules.pop(module_name(name), None)
