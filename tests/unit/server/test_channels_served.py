from __future__ import annotations

import asyncio
from datetime import timedelta

import aiohttp
import pytest

from mirror.model import utcnow
from mirror.server import serving

INDEX = "/images/stable/streams/v1/index.json"


def _files(version):
    return {
        "streams/v1/index.json": f'{{"version": "{version}"}}\n'.encode(),
        f"noble/{version}/boot-kernel": f"kernel {version}".encode(),
        "shared": b"the same in all",
        "changing": f"now {version}".encode(),
    }


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(serving, "INTERVAL", 0.05)


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def read(http):
    async def read(url):
        async with http.get(url) as response:
            return response.status, await response.read()

    return read


@pytest.fixture
def ready(http):
    async def ready(url):
        async with http.get(f"{url}/readyz") as response:
            return response.status, await response.json()

    return ready


async def test_a_switch_is_noticed_and_old_files_stay(mirror, read, eventually, monkeypatch):
    monkeypatch.undo()
    first = mirror.publish(_files(1))
    async with mirror.serving() as url:
        assert await read(url + INDEX) == (200, b'{"version": "1"}\n')
        mirror.publish(_files(2))
        began = asyncio.get_running_loop().time()

        async def switched():
            return await read(url + INDEX) == (200, b'{"version": "2"}\n')

        assert await eventually(switched)
        assert asyncio.get_running_loop().time() - began < 2
        assert await read(f"{url}/images/stable/noble/2/boot-kernel") == (200, b"kernel 2")
        assert await read(f"{url}/images/stable/noble/1/boot-kernel") == (200, b"kernel 1")
        assert await read(f"{url}/images/stable/changing") == (200, b"now 2")
        assert await read(f"{url}/snapshots/{first}/changing") == (200, b"now 1")
        assert await read(f"{url}/snapshots/{first}/noble/2/boot-kernel") == (
            404,
            b"404: not found\n",
        )


@pytest.mark.parametrize(("hours", "status"), [(1, 200), (3, 404)])
async def test_old_files_are_answered_for_until_the_grace_period_ends(mirror, read, hours, status):
    mirror.publish(_files(1), at=utcnow() - timedelta(days=1))
    mirror.publish(_files(2), at=utcnow() - timedelta(hours=hours))
    async with mirror.serving(grace=timedelta(hours=2)) as url:
        assert (await read(f"{url}/images/stable/noble/1/boot-kernel"))[0] == status
        assert (await read(f"{url}/images/stable/noble/2/boot-kernel"))[0] == 200


async def test_files_of_several_old_snapshots_stay_across_switches(mirror, read, eventually):
    mirror.publish(_files(1))
    async with mirror.serving() as url:
        for version in (2, 3, 4):
            mirror.publish(_files(version))

            async def switched(version=version):
                return (await read(url + INDEX))[1] == b'{"version": "%d"}\n' % version

            assert await eventually(switched)
        for version in (1, 2, 3, 4):
            path = f"{url}/images/stable/noble/{version}/boot-kernel"
            assert await read(path) == (200, b"kernel %d" % version)
        assert await read(f"{url}/images/stable/shared") == (200, b"the same in all")


async def test_rolling_back_is_a_switch_too(mirror, read, eventually):
    first = mirror.publish(_files(1))
    mirror.publish(_files(2))
    async with mirror.serving() as url:
        mirror.store.channels.switch("stable", first, "rollback")

        async def back():
            return (await read(url + INDEX))[1] == b'{"version": "1"}\n'

        assert await eventually(back)
        assert await read(f"{url}/images/stable/changing") == (200, b"now 1")
        assert await read(f"{url}/images/stable/noble/2/boot-kernel") == (200, b"kernel 2")


async def test_a_running_download_is_not_disturbed_by_a_switch(mirror, http, eventually, read):
    big = bytes(range(256)) * 200_000
    mirror.publish({**_files(1), "big": big})
    async with mirror.serving() as url, http.get(f"{url}/images/stable/big") as response:
        begin = await response.content.readexactly(1000)
        mirror.publish(_files(2))

        async def switched():
            return (await read(url + INDEX))[1] == b'{"version": "2"}\n'

        assert await eventually(switched)
        assert begin + await response.read() == big


async def test_a_damaged_snapshot_leaves_the_old_one_served(mirror, read, ready, eventually):
    first = mirror.publish(_files(1))
    async with mirror.serving() as url:
        second = mirror.save(_files(2))
        file = mirror.root / "snapshots" / f"{second}.json.zst"
        file.write_bytes(file.read_bytes()[:-1] + b"!")
        mirror.store.channels.switch("stable", second, "test")

        async def told():
            return "channel_stale" in (await ready(url))[1]["warnings"]

        assert await eventually(told)
        status, state = await ready(url)
        assert status == 200
        assert state["channels"] == {"stable": first}
        assert second in state["problems"]["stable"]
        assert await read(url + INDEX) == (200, b'{"version": "1"}\n')
        assert (await read(f"{url}/snapshots/{second}/streams/v1/index.json"))[0] == 500


async def test_a_metadata_blob_that_is_missing_leaves_the_old_snapshot_served(
    mirror, read, ready, eventually
):
    mirror.publish(_files(1))
    async with mirror.serving() as url:
        files = _files(2)
        second = mirror.save(files)
        mirror.blob_path(files["streams/v1/index.json"]).unlink()
        mirror.store.channels.switch("stable", second, "test")

        async def told():
            return "channel_stale" in (await ready(url))[1]["warnings"]

        assert await eventually(told)
        assert await read(url + INDEX) == (200, b'{"version": "1"}\n')


async def test_channels_come_and_go(mirror, read, eventually):
    mirror.publish(_files(1))
    async with mirror.serving() as url:
        path = f"{url}/images/site-a/streams/v1/index.json"
        assert (await read(path))[0] == 404
        mirror.publish(_files(2), channel="site-a")

        async def there():
            return await read(path) == (200, b'{"version": "2"}\n')

        assert await eventually(there)
        mirror.store.channels.remove("site-a")

        async def gone():
            return (await read(path))[0] == 404

        assert await eventually(gone)
        assert (await read(url + INDEX))[0] == 200


async def test_not_ready_before_the_first_snapshot(mirror, ready, eventually):
    async with mirror.serving() as url:
        status, state = await ready(url)
        assert (status, state["ready"], state["reasons"]) == (503, False, ["no_snapshot"])
        snapshot_id = mirror.publish(_files(1))

        async def is_ready():
            return (await ready(url))[0] == 200

        assert await eventually(is_ready)
        assert (await ready(url))[1]["channels"] == {"stable": snapshot_id}


async def test_little_space_is_a_warning(mirror, ready):
    mirror.publish(_files(1))
    async with mirror.serving(min_free=2**62) as url:
        status, state = await ready(url)
        assert (status, state["warnings"]) == (200, ["low_space"])


async def test_a_store_that_is_gone_keeps_what_is_in_memory(mirror, read, ready, eventually):
    mirror.publish(_files(1))
    async with mirror.serving() as url:
        mirror.root.rename(mirror.root.with_name("elsewhere"))

        async def told():
            return "store_unwritable" in (await ready(url))[1]["warnings"]

        assert await eventually(told)
        assert await read(url + INDEX) == (200, b'{"version": "1"}\n')


async def test_a_removed_snapshot_is_404(mirror, read, eventually):
    first = mirror.publish(_files(1), at=utcnow() - timedelta(days=9))
    mirror.publish(_files(2), at=utcnow() - timedelta(days=8))
    async with mirror.serving() as url:
        path = f"{url}/snapshots/{first}/streams/v1/index.json"
        assert (await read(path))[0] == 200
        mirror.store.remove_snapshot(first, grace=timedelta(days=2))
        mirror.publish(_files(3))

        async def gone():
            return (await read(path))[0] == 404

        assert await eventually(gone)
