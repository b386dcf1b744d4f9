"""The bandwidth limit."""

from __future__ import annotations

import asyncio
import time

import pytest

from mirror.sync.rate import Rate


async def test_no_limit_never_waits() -> None:
    before = time.monotonic()
    for _ in range(1000):
        await Rate(0).take(1 << 30)
    assert time.monotonic() - before < 1


@pytest.mark.parametrize("takers", [1, 8])
async def test_the_limit_holds_over_all_takers(takers: int) -> None:
    """A quarter of a second may come at once; the other 450 kB take 0.45 s."""
    rate = Rate(1_000_000)
    each = 700_000 // takers // 10

    async def taker() -> None:
        for _ in range(10):
            await rate.take(each)

    before = time.monotonic()
    await asyncio.gather(*(taker() for _ in range(takers)))
    assert time.monotonic() - before >= 0.44


async def test_a_chunk_may_be_larger_than_the_burst() -> None:
    rate = Rate(1_000_000)
    before = time.monotonic()
    await rate.take(500_000)
    assert time.monotonic() - before >= 0.24
