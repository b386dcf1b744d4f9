"""Who asks: the token that came with a request, checked, and what its holder may do.

A right token is remembered for a while by a keyed hash, so that argon2 is not run for each request;
its row is read again every few seconds, so that a revoked token dies quickly. Wrong tokens are
counted by address. They never keep a right one out: what is refused is the attempts on one token
from one address, and the answer to the others is slower to come, not different.
"""

from __future__ import annotations

import asyncio
import binascii
import secrets
import time
from base64 import b64decode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from aiohttp import hdrs, web

from mirror.access.attempts import Attempts
from mirror.access.rights import Right, allows
from mirror.access.tokens import parse
from mirror.errors import (
    ChannelNotAllowed,
    CrossOrigin,
    MirrorError,
    RoleInsufficient,
    TokenRequired,
    TooManyAttempts,
)
from mirror.model import Role, utcnow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mirror.model import Token
    from mirror.service.tokens import Tokens

REREAD = 5.0
"""Seconds after which a token that was right is looked up again: so long may a revoked one live."""

REMEMBER = 3600.0
"""Seconds after which its secret is compared with the hash again."""

MAX_REMEMBERED = 1024

VERIFIERS = 2
"""How many tokens one process compares at once; the others wait for their turn ..."""

MAX_WAITING = 1024
"""... if there are not more than so many of them,"""

MAX_WAITING_FROM_ONE = 256
"""nor more than so many from one address: as many racks as may start at once behind one router."""

WRONG_BURST, WRONG_PAUSE = 20, 3.0
"""From one address: so many wrong tokens are answered 401, then one every few seconds."""

TRIES_BURST, TRIES_PAUSE = 10, 5.0
"""The same for the attempts on one token; beyond it, its secret is not even compared."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_WHOLE_MIRROR = frozenset({Right.UPLOAD, Right.OPERATE, Right.ADMINISTER})
"""What a token that is limited to channels may not do except to those."""

_CHALLENGES = ('Bearer realm="mirror"', 'Basic realm="mirror", charset="UTF-8"')


class Principal(msgspec.Struct, frozen=True):
    """Who asks. `actor` is the name for the audit log; `channels` limits it (empty: every one).

    `licences` are those of images that are not free.
    """

    actor: str
    role: Role
    channels: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()


async def principal_of(request: web.BaseRequest) -> Principal | None:
    """Return who asks; None when the request has no credential at all.

    Raises `TokenRequired` for a credential that is no good, `TooManyAttempts`, `StoreError`, and
    `CrossOrigin` when a browser says that another site's page wants something changed.
    """
    if _PRINCIPAL in request:
        return request[_PRINCIPAL]
    presented = presented_in(request.headers)
    if presented is None:
        return None
    refuse_cross_origin(request.method, request.headers)
    principal = await request[_ACCESS].check(presented, request.remote or "")
    request[_PRINCIPAL] = principal
    return principal


def require(principal: Principal | None, right: Right, *, channel: str | None = None) -> Principal:
    """Return the principal if it may do this, to `channel` if it is about one.

    A token that is limited to channels may change nothing but those. Raises `TokenRequired`,
    `RoleInsufficient`, `ChannelNotAllowed`.
    """
    if principal is None:
        raise TokenRequired("this needs a token")
    if not allows(principal.role, right):
        raise RoleInsufficient(f"a token of role {principal.role.value} does not allow this")
    if principal.channels and channel is None and right in _WHOLE_MIRROR:
        raise ChannelNotAllowed("this is about the whole mirror, and the token is for channels")
    if principal.channels and channel is not None and channel not in principal.channels:
        raise ChannelNotAllowed(f"the token is not for channel {channel!r}")
    return principal


def refusal_headers(error: MirrorError) -> list[tuple[str, str]]:
    """Return the header fields that go with an error: how to log in, or when to come back."""
    if isinstance(error, TokenRequired):
        return [(hdrs.WWW_AUTHENTICATE, challenge) for challenge in _CHALLENGES]
    if isinstance(error, TooManyAttempts):
        return [(hdrs.RETRY_AFTER, str(max(1, round(error.retry_after))))]
    return []


def presented_in(headers: Mapping[str, str]) -> str | None:
    """Return the token that a request's header presents; None when there is no such header.

    What can't be a token is returned as one that nobody has. Raises `TokenRequired` for several
    headers: which of them counts would be anyone's guess.
    """
    value = headers.get(hdrs.AUTHORIZATION)
    if value is None:
        return None
    everything = getattr(headers, "getall", None)
    if everything is not None and len(everything(hdrs.AUTHORIZATION)) > 1:
        raise TokenRequired("there are several Authorization headers")
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    return _from_basic(rest.strip()) if scheme.lower() == "basic" else ""


def _from_basic(encoded: str) -> str:
    """Return the password, or the user's name where there is none."""
    try:
        decoded = b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    user, _, password = decoded.partition(":")
    return password or user


def refuse_cross_origin(method: str, headers: Mapping[str, str]) -> None:
    """Raise `CrossOrigin` for a change that another site's page asks for.

    A browser adds the Basic credentials that it knows to whatever any page sends. It says where the
    page is from, too; programs say nothing, and are let through.
    """
    if method in _SAFE_METHODS:
        return
    site = headers.get("Sec-Fetch-Site")
    origin = headers.get(hdrs.ORIGIN)
    if site is not None:
        foreign = site not in {"same-origin", "none"}
    else:
        # an origin is a scheme, `://` and what such a page sends as Host; or `null`
        host = headers.get(hdrs.HOST)
        foreign = origin is not None and (not host or origin.partition("://")[2] != host)
    if foreign:
        raise CrossOrigin(f"a page of {origin or 'another site'} may not change anything here")


class _Known(NamedTuple):
    """A token whose secret was right; its row was read at `read`, and compared at `compared`."""

    token: Token
    read: float
    compared: float


class Access:
    """Checks tokens for one process. `tokens` opens the mirror's tokens, and may block."""

    def __init__(
        self, tokens: Callable[[], Tokens], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tokens = tokens
        self._clock = clock
        self._hash_key = secrets.token_bytes(32)
        self._known: dict[bytes, _Known] = {}
        self._checking: dict[bytes, asyncio.Task[Token]] = {}
        self._waiting: Counter[str] = Counter()
        self._threads = ThreadPoolExecutor(VERIFIERS, thread_name_prefix="tokens")
        self._wrong: Attempts[str] = Attempts(WRONG_BURST, WRONG_PAUSE, clock=clock)
        self._tries: Attempts[tuple[str, str]] = Attempts(TRIES_BURST, TRIES_PAUSE, clock=clock)

    def attach(self, request: web.BaseRequest) -> None:
        """Let `principal_of` find us."""
        request[_ACCESS] = self

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(self, presented: str, address: str) -> Principal:
        """Return whose token this is. Raises `TokenRequired`, `TooManyAttempts`, `StoreError`."""
        key = blake2b(presented.encode(errors="replace"), key=self._hash_key).digest()
        known = self._known.get(key)
        now = self._clock()
        if known is not None and now - known.read < REREAD:
            token = known.token
            if token.expires is not None and token.expires <= utcnow():
                raise TokenRequired("the token has expired")
        else:
            token = await self._look_up(key, presented, _network(address))
        actor = f"token:{token.id} {token.name}"
        return Principal(actor, token.role, token.channels, token.licences)

    async def _look_up(self, key: bytes, presented: str, address: str) -> Token:
        """Look the token up, once for all the requests that bring it at the same time."""
        task = self._checking.get(key)
        if task is None:
            task = asyncio.create_task(self._confirm(key, presented, address))
            self._checking[key] = task
            task.add_done_callback(lambda done: self._checked(key, done))
        try:
            # whoever asked first may go away; the others still wait for it
            return await asyncio.shield(task)
        except TokenRequired:
            self._wrong.charge(address)
            self._complain(self._wrong.wait(address))
            raise

    @contextmanager
    def _turn(self, address: str) -> Iterator[None]:
        """Stand in the queue of those whose secret is to be compared."""
        mine = self._waiting.get(address, 0)
        if self._waiting.total() >= MAX_WAITING or mine >= MAX_WAITING_FROM_ONE:
            raise TooManyAttempts("too many tokens are being checked just now", retry_after=1)
        self._waiting[address] += 1
        try:
            yield
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]

    def _checked(self, key: bytes, task: asyncio.Task[Token]) -> None:
        del self._checking[key]
        if not task.cancelled():
            task.exception()  # its waiters may all have gone: nobody else looks at it

    async def _confirm(self, key: bytes, presented: str, address: str) -> Token:
        known, now = self._known.pop(key, None), self._clock()
        if known is not None and now - known.compared < REMEMBER:
            token = await self._in_thread(lambda: self._tokens().current(known.token.id))
            self._remember(key, _Known(token, now, known.compared))
            return token
        credential = parse(presented)
        if credential is None:
            raise TokenRequired("that is not a token of this mirror")
        attempt = (address, credential.id)
        self._complain(self._tries.wait(attempt))
        self._tries.charge(attempt)
        refused = False
        try:
            with self._turn(address):
                token = await self._in_thread(lambda: self._tokens().authenticate(presented))
        except TokenRequired:
            refused = True
            raise
        finally:
            if not refused:
                self._tries.refund(attempt)
        self._remember(key, _Known(token, now, now))
        return token

    async def _in_thread(self, look: Callable[[], Token]) -> Token:
        return await asyncio.get_running_loop().run_in_executor(self._threads, look)

    def _remember(self, key: bytes, known: _Known) -> None:
        while len(self._known) >= MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[key] = known

    def _complain(self, seconds: float) -> None:
        if seconds > 0:
            raise TooManyAttempts("too many wrong tokens from this address", retry_after=seconds)


_ACCESS = web.RequestKey("mirror.access", Access)
_PRINCIPAL = web.RequestKey("mirror.principal", Principal)


def _network(address: str) -> str:
    """Return what one client can be: an address, or the /64 that an IPv6 host chooses from."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    mapped = parsed.ipv4_mapped
    return str(mapped) if mapped else str(IPv6Address(int(parsed) >> 64 << 64))
