"""Checks of what a server really answers, as a client on the network sees it."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from mirror.doctor.local import certificate_check
from mirror.doctor.report import Check, ok, problem, warning
from mirror.errors import MirrorError
from mirror.signing.certificate import expiry_of
from mirror.sync.http import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.service import Mirror
    from mirror.settings import ServerSettings

PATIENCE = 3.0
_INDEX = "streams/v1/index.sjson"
_ANY = {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not bound
_LONGEST = 64 << 20


def local_url(server: ServerSettings) -> str:
    """Return the address at which a server on this machine would answer."""
    host = "127.0.0.1" if server.host in _ANY else server.host
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if server.tls_certificate else 'http'}://{host}:{server.port}"


async def served_checks(mirror: Mirror, url: str, channel: str, *, asked: bool) -> list[Check]:
    """Ask the server at `url` for what is on disk. `asked`: a person named it, so it must be."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    connector = aiohttp.TCPConnector(ssl=await asyncio.to_thread(_trust_any))
    async with aiohttp.ClientSession(
        timeout=timeout, connector=connector, auto_decompress=False
    ) as session:
        try:
            with translated(url):
                return await _ask(session, mirror, url.rstrip("/"), channel)
        except (MirrorError, ValueError) as error:
            what = f"the server does not answer: {error}"
            if asked:
                return [problem("server", what, "Is the address right, and the server running?")]
            return [warning("server", what, "Start it with `mirror serve`, or name it with --url.")]


async def _ask(
    session: aiohttp.ClientSession, mirror: Mirror, url: str, channel: str
) -> list[Check]:
    checks = []
    if url.startswith("https:"):
        checks += await _certificate(url)
    status, body = await _get(session, f"{url}/readyz")
    checks += list(_readiness(url, status, body))
    _, key = await _get(session, f"{url}/keys/mirror.gpg")
    if key != await asyncio.to_thread(mirror.key.public_binary):
        what = f"{url}/keys/mirror.gpg is not this mirror's key"
        checks.append(problem("server", what, "Is it the server of another data directory?"))
    if channel:
        checks.append(await _index(session, mirror, f"{url}/images/{channel}", channel))
    return checks


async def _get(session: aiohttp.ClientSession, url: str) -> tuple[int, bytes]:
    async with session.get(url, headers={"Accept-Encoding": "identity"}) as response:
        return response.status, await response.content.read(_LONGEST)


def _readiness(url: str, status: int, body: bytes) -> Iterator[Check]:
    try:
        state: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        yield problem("server", f"{url}/readyz is no mirror's (status {status})", "Check the URL.")
        return
    if state.get("reasons"):
        what = f"{url} is not ready: {', '.join(state['reasons'])}"
        yield problem("server", what, "See docs/monitoring.md for what each reason means.")
    elif state.get("warnings"):
        what = f"{url} serves, and warns: {', '.join(state['warnings'])}"
        yield warning("server", what, "See docs/monitoring.md for what each warning means.")
    else:
        yield ok("server", f"{url} is ready")


async def _index(session: aiohttp.ClientSession, mirror: Mirror, base: str, channel: str) -> Check:
    """See that the index is the one on disk, and that no other spelling of it gets an answer."""
    name = "served stream"
    status, body = await _get(session, f"{base}/{_INDEX}")
    if status == 401:
        return ok(name, f"{base}/ needs a token, as [server] reading says")
    if status != 200:
        remedy = "Is there something in between (a proxy, a load balancer)?"
        return problem(name, f"{base}/{_INDEX} answers {status}", remedy)
    if body != await asyncio.to_thread(_on_disk, mirror, channel):
        what = f"{base}/{_INDEX} is not what the data directory holds"
        return problem(name, what, "Wait a second and try again; is there a cache in between?")
    # without a slash, sstream-mirror asks for this first, and must be told 404 to go on
    status, _ = await _get(session, base + _INDEX)
    if status != 404:
        what = f"{base}{_INDEX} answers {status}: sstream-mirror takes it for the index, and fails"
        return problem(name, what, "What is in between must answer 404 for what is not there.")
    return ok(name, f"{base} is what is on disk, with and without its last slash")


def _on_disk(mirror: Mirror, channel: str) -> bytes:
    try:
        snapshot = mirror.store.snapshots.load(mirror.channels.current(channel))
        return mirror.store.blobs.path(snapshot.files[_INDEX].sha256).read_bytes()
    except (MirrorError, OSError, KeyError):
        return b""


async def _certificate(url: str) -> list[Check]:
    """See until when the certificate is good, and whether the system trusts it, as MAAS must."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    checks = []
    try:
        await _handshake(host, port, ssl.create_default_context())
    except ssl.SSLError as error:
        what = f"{url}: {getattr(error, 'verify_message', '') or error.reason or error}"
        remedy = "MAAS trusts what the system does: add the CA with `update-ca-certificates`."
        checks.append(warning("certificate trust", what, remedy))
    der = await _handshake(host, port, _trust_any())
    return [*checks, certificate_check(url, expiry_of(der))]


async def _handshake(host: str, port: int, context: ssl.SSLContext) -> bytes:
    async with asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return found
    finally:
        writer.close()


def _trust_any() -> ssl.SSLContext:
    """Return a context for looking: whether the certificate is trusted is a check of its own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
