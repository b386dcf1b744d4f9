"""Images that are not free: who may have them here, and that it is written down.

One may have what one's token has a licence for and the channel allows, too. Of a snapshot or a blob
asked for by its own name, the channels count that the token may read.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from mirror.access.rights import Right, allows
from mirror.errors import DownloadNotRecorded, MirrorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from mirror.server.access import Principal
    from mirror.server.published import Channel, Published
    from mirror.server.replies import Reply
    from mirror.service.audit import Audit


class Asking(NamedTuple):
    """A request for what is mirrored. `target` is the path after the token, if there is one.

    `who` looks at the credential, which most answers do not depend on; it raises `AccessDenied` for
    one that is no good.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    address: str
    who: Callable[[], Awaitable[Principal | None]]


class Download(NamedTuple):
    """A file that is not free, about to be sent: where it was asked for, and what it takes."""

    subject: str
    sha256: str
    licence: str


def licences_for(
    principal: Principal | None, published: Published, space: str, name: str
) -> frozenset[str]:
    """Return the licences that count for who asks for what lies at /SPACE/NAME/."""
    if principal is None or not principal.licences or not _may_read(principal):
        return frozenset()
    allowed = (channel.licences for channel in _channels(principal, published, space, name))
    return frozenset(principal.licences) & frozenset().union(*allowed)


def may_read(principal: Principal, published: Published, space: str, name: str) -> bool:
    """Say whether a token is for what lies at /SPACE/NAME/, as far as that is free.

    One that is limited to channels is for those, and for the snapshots that they publish or have
    just published. A blob by its digest says nothing of the channel, so it gets none.
    """
    if not principal.channels:
        return True
    if space == "images":
        return name in principal.channels
    return any(_channels(principal, published, space, name))


def _channels(
    principal: Principal, published: Published, space: str, name: str
) -> Iterator[Channel]:
    """Yield the channels that a token may read and has this from."""
    for channel_name, channel in published.channels.items():
        if principal.channels and channel_name not in principal.channels:
            continue
        if space == "images":
            has_it = channel_name == name
        elif space == "snapshots" and principal.channels:
            has_it = name == channel.tree.snapshot or name in channel.older
        else:
            has_it = not principal.channels
        if has_it:
            yield channel


def _may_read(principal: Principal) -> bool:
    return allows(principal.role, Right.READ_IMAGES)


class Downloads:
    """Writes downloads of what is not free into the audit log, in a thread of its own.

    `audit` opens the log; it may block.
    """

    def __init__(self, audit: Callable[[], Audit]) -> None:
        self._audit = audit
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="downloads")

    async def record(
        self, principal: Principal | None, asking: Asking, download: Download, reply: Reply
    ) -> None:
        """Write down what is about to be sent. Raises `DownloadNotRecorded`: then send nothing."""
        actor = principal.actor if principal else "anonymous"
        facts = {
            "sha256": download.sha256,
            "licence": download.licence,
            "bytes": sum(last - first + 1 for first, last in reply.parts),
            "ranges": [f"{f}-{to}" for f, to in reply.parts] if reply.status == 206 else [],
            "address": asking.address,
        }

        def write() -> None:
            self._audit().record_download(actor, download.subject, facts)

        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, write)
        except (MirrorError, OSError, RuntimeError) as error:
            what = f"the download of {download.subject} could not be recorded: {error}"
            raise DownloadNotRecorded(what) from error

    def close(self) -> None:
        """Let the thread end when it has done what it is at."""
        self._thread.shutdown(wait=False)
