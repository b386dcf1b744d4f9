from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from mirror.catalog import Catalog
from mirror.model import Snapshot
from mirror.server.options import ServerOptions
from mirror.server.serving import running_server
from mirror.store.layout import DataDir
from mirror.store.store import Store

UPDATED = datetime(2025, 7, 24, 8, 1, 48, tzinfo=UTC)


class Mirror:
    """A data directory that can be published to, and served."""

    def __init__(self, root, key):
        self.root = root
        layout = DataDir(root)
        layout.create()
        Catalog(layout.catalog).close()
        layout.gnupg.mkdir(mode=0o700)
        (layout.gnupg / "public.gpg").write_bytes(key.public_binary())
        (layout.gnupg / "public.asc").write_bytes(key.public_armored())
        self.key = key
        self.store = Store.open(root, key=key)
        self._time = UPDATED

    def blob(self, data):
        return self.store.blobs.add_bytes(data)

    def blob_path(self, data):
        return self.store.blobs.path(self.blob(data).sha256)

    def save(self, files, variants=None):
        """Save a snapshot of {path: bytes}; variants are {path: {coding: bytes}}."""
        self._time += timedelta(hours=1)
        return self.store.snapshots.save(
            Snapshot(
                created=self._time,
                updated=self._time,
                files={path: self._ref(data) for path, data in files.items()},
                variants={
                    path: {coding: self._ref(data) for coding, data in forms.items()}
                    for path, forms in (variants or {}).items()
                },
            )
        )

    def publish(self, files, variants=None, *, channel="stable", at=None):
        snapshot_id = self.save(files, variants)
        self.store.channels.switch(channel, snapshot_id, "test", at=at)
        return snapshot_id

    def options(self, **changes):
        values = {"port": 0, "drain": timedelta(seconds=10), "workers": 2, **changes}
        return ServerOptions(data_dir=str(self.root), **values)

    @asynccontextmanager
    async def serving(self, **changes):
        async with running_server(self.options(**changes)) as url:
            yield url

    def _ref(self, data):
        return self.blob(data)


@pytest.fixture
def mirror(tmp_path, signing_key):
    return Mirror(tmp_path / "data", signing_key)


@pytest.fixture(scope="module")
def shared_mirror(tmp_path_factory, signing_key):
    return Mirror(tmp_path_factory.mktemp("shared") / "data", signing_key)


@pytest.fixture
def ask():
    """Send a request as it is; return all that comes back until the connection is closed."""

    async def ask(url, request):
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()
            await writer.wait_closed()

    return ask


@pytest.fixture
def eventually():
    """Wait until a coroutine function returns something true, and return that."""

    async def eventually(check, seconds=8.0):
        deadline = asyncio.get_running_loop().time() + seconds
        while not (result := await check()):
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"it did not come true within {seconds} s")
            await asyncio.sleep(0.02)
        return result

    return eventually
