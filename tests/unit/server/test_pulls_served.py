"""What is asked for is written down, once: retention keeps what somebody pulls."""

from __future__ import annotations

import aiohttp
import pytest

from mirror.server import serving
from mirror.store.pulls import Pulls

INDEX = "streams/v1/index.json"


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(serving, "INTERVAL", 0.05)


async def test_pulls_are_noted(mirror, eventually):
    files = {INDEX: b"{}\n", "noble/squashfs": b"image"}
    pinned = mirror.publish(files)
    unasked = mirror.publish({**files, "more": b"1"}, channel="unasked")
    by_file = mirror.publish({**files, "more": b"2"}, channel="site-a")
    current = mirror.publish({**files, "more": b"3"})
    pulls = Pulls(mirror.store.dir.pulls)
    async with mirror.serving() as url, aiohttp.ClientSession() as http:

        async def get(path: str) -> int:
            async with http.get(f"{url}/{path}") as answer:
                await answer.read()
                return answer.status

        assert await get("images/nobody/streams/v1/index.json") == 404
        assert await get("snapshots/20000101T000000Z-00000000/x") == 404
        assert await get(f"images/stable/{INDEX}") == 200
        assert await get("images/site-a/noble/squashfs") == 200
        assert await get(f"snapshots/{pinned}/{INDEX}") == 200

        async def noted() -> bool:
            return set(pulls.times()) == {current, by_file, pinned}

        await eventually(noted)
    assert unasked not in pulls.times()
