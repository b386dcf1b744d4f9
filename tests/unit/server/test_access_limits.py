"""Floods of wrong tokens: answered cheaply, slowed down, and no harm to those with a right one."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from mirror.access.tokens import make, parse
from mirror.errors import StoreError, TokenRequired, TooManyAttempts
from mirror.model import Role
from mirror.server.access import (
    MAX_REMEMBERED,
    MAX_WAITING,
    MAX_WAITING_FROM_ONE,
    REMEMBER,
    REREAD,
    TRIES_BURST,
    VERIFIERS,
    WRONG_BURST,
    Access,
)


class Watched:
    """The mirror's own tokens, and how often and how many at once they were asked for."""

    def __init__(self, tokens):
        self._tokens = tokens
        self._lock = threading.Lock()
        self.compared = self.reread = self.running = self.most = 0
        self.pause = 0.0

    def authenticate(self, secret):
        with self._lock:
            self.compared += 1
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            time.sleep(self.pause)
            return self._tokens.authenticate(secret)
        finally:
            with self._lock:
                self.running -= 1

    def current(self, token_id):
        self.reread += 1
        return self._tokens.current(token_id)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def tokens(mut):
    return mut.mirror.tokens


@pytest.fixture
def watched(tokens):
    return Watched(tokens)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def access(watched, clock):
    access = Access(lambda: watched, clock=clock)
    yield access
    access.close()


@pytest.fixture
def good(tokens):
    return tokens.create("good", Role.OPERATOR, by="test")


async def refusal(access, presented, address="192.0.2.1"):
    with pytest.raises((TokenRequired, TooManyAttempts)) as refused:
        await access.check(presented, address)
    return refused.value


async def test_who_asks_is_named_for_the_audit_log(access, good):
    principal = await access.check(good.secret, "192.0.2.1")
    assert principal.actor == f"token:{good.token.id} good"
    assert principal.role is Role.OPERATOR


async def test_a_right_secret_is_compared_once_and_its_row_read_now_and_then(
    access, watched, clock, good
):
    for _ in range(100):
        await access.check(good.secret, "192.0.2.1")
    assert (watched.compared, watched.reread) == (1, 0)
    clock.now += REREAD
    for _ in range(100):
        await access.check(good.secret, "192.0.2.1")
    assert (watched.compared, watched.reread) == (1, 1)
    clock.now += REMEMBER
    await access.check(good.secret, "192.0.2.1")
    assert watched.compared == 2


async def test_requests_that_bring_one_token_at_once_share_one_comparison(access, watched, good):
    watched.pause = 0.05
    await asyncio.gather(*(access.check(good.secret, "192.0.2.1") for _ in range(500)))
    assert watched.compared == 1


async def test_a_flood_of_unknown_tokens_is_slowed_down_and_stops_no_right_one(
    access, watched, good
):
    refused = [await refusal(access, make().text) for _ in range(3000)]
    assert all(isinstance(each, TokenRequired) for each in refused[: WRONG_BURST - 1])
    assert all(isinstance(each, TooManyAttempts) for each in refused[WRONG_BURST:])
    assert 0 < refused[-1].retry_after < 10
    # behind the same proxy, and never seen before
    assert await access.check(good.secret, "192.0.2.1")
    # others are not concerned
    assert isinstance(await refusal(access, make().text, "192.0.2.2"), TokenRequired)


async def test_garbage_is_never_looked_up(access, watched):
    for text in ("", "x", "mirror_", "x" * 10_000, "\udce9"):
        for _ in range(50):
            await refusal(access, text)
    assert watched.compared == 0


async def test_guesses_at_a_known_token_are_not_even_compared(access, watched, good):
    known = parse(good.secret)
    for _ in range(1000):
        await refusal(access, known._replace(secret=make().secret).text)
    assert watched.compared == TRIES_BURST
    # its holder elsewhere, and other holders here, are let in all the same
    assert await access.check(good.secret, "192.0.2.2")


async def test_guesses_at_a_token_do_not_lock_out_who_uses_it_behind_the_same_proxy(
    access, watched, clock, good
):
    assert await access.check(good.secret, "192.0.2.1")
    known = parse(good.secret)
    for _ in range(100):
        await refusal(access, known._replace(secret=make().secret).text)
        clock.now += REREAD
        assert await access.check(good.secret, "192.0.2.1")


async def test_a_locked_out_holder_gets_in_within_seconds(access, clock, good):
    known = parse(good.secret)
    for _ in range(1000):
        await refusal(access, known._replace(secret=make().secret).text)
    refused = await refusal(access, good.secret)
    assert isinstance(refused, TooManyAttempts)
    assert refused.retry_after <= 10
    clock.now += refused.retry_after
    assert await access.check(good.secret, "192.0.2.1")


async def test_few_secrets_are_compared_at_once_and_not_too_many_wait(access, watched, good):
    watched.pause = 0.005
    wrong = [make().text for _ in range(MAX_WAITING_FROM_ONE + 50)]
    answers = await asyncio.gather(
        *(access.check(each, "192.0.2.1") for each in wrong), return_exceptions=True
    )
    assert watched.most <= VERIFIERS
    assert all(isinstance(each, (TokenRequired, TooManyAttempts)) for each in answers)
    assert watched.compared == MAX_WAITING_FROM_ONE
    # and nothing is left of it
    watched.pause = 0.0
    assert await access.check(good.secret, "192.0.2.1")


async def test_one_address_does_not_take_everyones_turn(access, watched, good):
    watched.pause = 0.001
    flood = [asyncio.create_task(refusal(access, make().text)) for _ in range(MAX_WAITING * 2)]
    await asyncio.sleep(0)
    assert await access.check(good.secret, "192.0.2.2")
    await asyncio.gather(*flood)


async def test_many_racks_behind_one_router_all_get_in_at_once(access, tokens, clock):
    made = [tokens.create(f"rack {n}", Role.RACK, by="test").secret for n in range(100)]
    for _ in range(2):
        await asyncio.gather(*(access.check(each, "192.0.2.1") for each in made))
        clock.now += REREAD


async def test_a_host_with_many_ipv6_addresses_is_one_client(access):
    for number in range(WRONG_BURST * 2):
        refused = await refusal(access, make().text, f"2001:db8:1:2::{number:x}")
    assert isinstance(refused, TooManyAttempts)
    assert isinstance(await refusal(access, make().text, "2001:db8:1:3::1"), TokenRequired)
    assert isinstance(await refusal(access, make().text, "fe80::1%eth0"), TokenRequired)
    assert isinstance(await refusal(access, make().text, ""), TokenRequired)


async def test_who_goes_away_takes_nobody_along(access, watched, good):
    watched.pause = 0.1
    first = asyncio.create_task(access.check(good.secret, "192.0.2.1"))
    await asyncio.sleep(0.02)
    second = asyncio.create_task(access.check(good.secret, "192.0.2.1"))
    await asyncio.sleep(0.02)
    first.cancel()
    assert (await second).role is Role.OPERATOR
    assert watched.compared == 1


async def test_memory_is_bounded(access, watched, good, monkeypatch):
    class Everything:
        def authenticate(self, secret):
            return good.token

    access._tokens = Everything
    for number in range(MAX_REMEMBERED + 50):
        await access.check(make().text, f"192.0.2.{number % 250}")
    assert len(access._known) == MAX_REMEMBERED
    assert not access._checking
    assert not access._waiting


async def test_a_failing_catalogue_is_no_wrong_token(clock):
    def broken():
        raise StoreError("the disk is gone")

    access = Access(broken, clock=clock)
    presented = make().text
    for _ in range(TRIES_BURST * 2):
        with pytest.raises(StoreError):
            await access.check(presented, "192.0.2.1")
    access.close()


async def test_checking_a_remembered_token_costs_microseconds(access, good):
    await access.check(good.secret, "192.0.2.1")
    start = time.perf_counter()
    for _ in range(2000):
        await access.check(good.secret, "192.0.2.1")
    assert (time.perf_counter() - start) / 2000 < 0.0005
