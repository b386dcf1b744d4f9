"""Files that are fetched in pieces: in order, in bounded memory, and right under every fault."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fetching import QUICK, Pool, make_file, wanted_of
from msgspec.structs import replace

from mirror.errors import NoSpace
from mirror.sync.events import FileDone
from mirror.testing import bad_upstream as bad
from mirror.testing.bad_upstream import BadUpstream
from mirror.testing.serve import serve_directory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

SIZE = 600_000
PIECES = replace(QUICK, piece=20_000, window=80_000, divide_above=0)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(tmp_path / "pool")


@pytest.fixture
def upstream(tmp_path: Path) -> BadUpstream:
    return BadUpstream(tmp_path / "upstream")


@pytest.fixture
def data(upstream: BadUpstream) -> bytes:
    return make_file(upstream.root, "file", SIZE)


@pytest.fixture
async def url(upstream: BadUpstream) -> AsyncIterator[str]:
    async with upstream.serve() as address:
        yield address


def slow(every: float = 0.005) -> bad.Fault:
    return bad.trickle(chunk=10_000, every=every)


async def test_one_file_uses_all_connections(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    upstream.on("file", slow(), times=None)
    wanted = wanted_of(url, "file", data)
    assert await pool.fetch(url, [wanted], PIECES) == []
    assert pool.blobs.path(wanted.sha256).read_bytes() == data
    ranges = [request.headers.get("Range", "") for request in upstream.requests]
    assert ranges[0] == ""
    assert len(ranges) > SIZE // PIECES.piece // 2
    assert len(set(ranges)) == len(ranges)
    assert pool.progress() == SIZE


async def test_pieces_far_ahead_wait_for_their_turn(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    """The first piece hangs: the others fill the window, and no request goes beyond it."""
    upstream.on("file", bad.stall(after=5_000))
    upstream.on("file", slow(0.001), times=None)
    wanted = wanted_of(url, "file", data)
    fetching = asyncio.create_task(pool.fetch(url, [wanted], PIECES, stall=0.5))
    await asyncio.sleep(0.3)
    starts = [_start(request) for request in upstream.requests]
    assert len(starts) >= 2
    assert max(starts) <= PIECES.window
    assert await fetching == []
    assert pool.blobs.path(wanted.sha256).read_bytes() == data


def _start(request: bad.Asked) -> int:
    return int(request.headers.get("Range", "bytes=0-")[6:].split("-")[0])


FAULTS = {
    "cut": bad.cut(after=3_000),
    "500": bad.status(500),
    "another byte": bad.flip_byte(100),
    "Range ignored": bad.ignore_range(),
    "no answer": bad.cut(),
    "wrong length": bad.claim_length(-1),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_fault_in_a_piece_is_recovered_from(
    fault: bad.Fault, pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    upstream.on("file", slow(), times=5)
    upstream.on("file", fault, times=1)
    upstream.on("file", slow(0.001), times=None)
    wanted = wanted_of(url, "file", data)
    assert await pool.fetch(url, [wanted], PIECES) == []
    assert pool.blobs.path(wanted.sha256).read_bytes() == data
    assert pool.progress() == SIZE
    assert pool.leftovers() == []


async def test_a_piece_that_lasts_wrong_fails_the_file(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    other = make_file(upstream.root, "other", 10_000)
    upstream.on("file", slow(), times=4)
    upstream.on("file", bad.status(403), times=None)
    wanted = [wanted_of(url, "file", data), wanted_of(url, "other", other)]
    failures = await pool.fetch(url, wanted, PIECES)
    assert [(each.wanted.path, each.error.code) for each in failures] == [("file", "MIR-402")]
    assert pool.of(FileDone) == [FileDone("other", 10_000)]


@pytest.mark.parametrize("connections", [1, 3, 16])
async def test_many_files_of_many_sizes(connections: int, tmp_path: Path, pool: Pool) -> None:
    root = tmp_path / "many"
    sizes = [0, 1, 100, 19_999, 20_000, 20_001, 59_999, 60_000, 150_000, 333_333]
    files = {f"f{size}": make_file(root, f"f{size}", size) for size in sizes}
    async with serve_directory(root) as url:
        wanted = [wanted_of(url, name, data) for name, data in files.items()]
        options = replace(PIECES, connections=connections)
        assert await pool.fetch(url, wanted, options) == []
    for each in wanted:
        assert pool.blobs.path(each.sha256).read_bytes() == files[each.path]
    assert pool.leftovers() == []
    assert pool.progress() == sum(sizes)


async def test_a_bandwidth_limit_holds_over_all_connections(
    pool: Pool, url: str, upstream: BadUpstream, data: bytes
) -> None:
    wanted = wanted_of(url, "file", data)
    clock = asyncio.get_running_loop().time
    before = clock()
    assert await pool.fetch(url, [wanted], PIECES, bandwidth=SIZE) == []
    assert clock() - before >= 0.6


async def test_a_full_disk_stops_everything(
    tmp_path: Path, url: str, data: bytes, pool: Pool
) -> None:
    wanted = wanted_of(url, "file", data)
    script = """
        import asyncio, resource, signal, sys
        sys.path.insert(0, sys.argv[1])
        from pathlib import Path
        from fetching import Pool, QUICK
        from mirror.errors import NoSpace
        from mirror.sync.fetch import Wanted

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        _, _, root, url, sha256, size = sys.argv
        wanted = Wanted(sha256, int(size), "file", url + "/file")
        try:
            asyncio.run(Pool(Path(root)).fetch(url, [wanted]))
        except NoSpace as error:
            print(error.code, error.what)
    """
    ran = await asyncio.to_thread(
        _python, script, tmp_path / "full", url, wanted.sha256, str(wanted.size)
    )
    assert ran.stdout.startswith("MIR-501"), ran.stderr
    assert ".part" in ran.stdout


async def test_a_killed_run_is_resumed(
    tmp_path: Path, upstream: BadUpstream, url: str, data: bytes
) -> None:
    """SIGKILL in the middle: what is on disk is a true prefix, and only the rest is asked for."""
    upstream.on("file", slow(0.02), times=None)
    wanted = wanted_of(url, "file", data)
    script = """
        import asyncio, sys
        sys.path.insert(0, sys.argv[1])
        from pathlib import Path
        from fetching import Pool, QUICK
        from mirror.sync.fetch import Wanted

        _, _, root, url, sha256, size = sys.argv
        asyncio.run(Pool(Path(root)).fetch(url, [Wanted(sha256, int(size), "file", url + "/file")]))
    """
    root = tmp_path / "killed"
    partial = root / "incoming" / f"{wanted.sha256}.part"
    args = (script, root, url, wanted.sha256, str(wanted.size))
    await asyncio.to_thread(_kill_when, lambda: partial.stat().st_size > 0, *args)
    kept = partial.read_bytes()
    assert 0 < len(kept) < SIZE
    assert data.startswith(kept)
    upstream.behave()
    pool = Pool(root)
    assert await pool.fetch(url, [wanted]) == []
    assert _start(upstream.requests[-1]) == len(kept)
    assert "If-Range" in upstream.requests[-1].headers
    assert pool.blobs.path(wanted.sha256).read_bytes() == data
    assert pool.leftovers() == []


async def test_a_cancelled_run_leaves_no_thread_writing(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    upstream.on("file", slow(), times=None)
    wanted = wanted_of(url, "file", data)
    fetching = asyncio.create_task(pool.fetch(url, [wanted], PIECES))
    await asyncio.to_thread(_wait_for, pool.incoming.partial(wanted.sha256).stat)
    await asyncio.sleep(0.05)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    kept = pool.incoming.partial(wanted.sha256).read_bytes()
    assert data.startswith(kept)
    upstream.behave()
    assert await pool.fetch(url, [wanted]) == []


async def test_an_error_of_the_store_wins_over_those_of_files(
    pool: Pool, upstream: BadUpstream, url: str, data: bytes
) -> None:
    class Full(type(pool.blobs)):  # type: ignore[misc]
        def adopt_all(self, files: Sequence[tuple[Path, str]]) -> None:
            raise NoSpace("the disk is full")

    pool.blobs = Full(pool.blobs.root)
    with pytest.raises(NoSpace, match="the disk is full"):
        await pool.fetch(url, [wanted_of(url, "file", data)])


def _command(script: str, *args: object) -> list[str]:
    here = Path(__file__).parent
    return [sys.executable, "-c", textwrap.dedent(script), str(here), *map(str, args)]


def _kill_when(happened: Callable[[], object], script: str, *args: object) -> None:
    with subprocess.Popen(_command(script, *args)) as child:
        _wait_for(happened)
        assert child.poll() is None
        child.kill()


def _wait_for(happened: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(FileNotFoundError):
            if happened():
                return
        time.sleep(0.005)
    pytest.fail("it did not happen")


def _python(script: str, *args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(script, *args), capture_output=True, text=True, check=False)
