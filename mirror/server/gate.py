"""Images for those who may have them: where reading is closed, and where a token is in the path.

`/t/<token>/images/...` is `/images/...` for the holder of a token. A MAAS can present one in no
other way: it takes the address of a stream, and asks for everything else relative to that.

What a token is not for is 404, as what does not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from mirror.access.rights import Right
from mirror.errors import MirrorError
from mirror.server.access import principal_of, require
from mirror.server.content import PREFIXES, split_target, target_of
from mirror.server.keys import KEY_TYPES
from mirror.server.licences import Asking, may_read
from mirror.server.refusals import not_found, refusal
from mirror.server.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from aiohttp import web

    from mirror.server.access import Access, Principal
    from mirror.server.content import Content

TOKEN_PATH = "/t/"  # noqa: S105 - a path


class Gate:
    """Asks for a token before `content` is asked for a file."""

    def __init__(self, content: Content, access: Access, keys: Mapping[str, bytes]) -> None:
        self._content = content
        self._access = access
        self._keys = keys

    async def answer(self, request: web.BaseRequest) -> Reply | None:
        """Return the reply where reading is closed; None for a path that is not the content's."""
        target = target_of(request)
        if not target.startswith(PREFIXES):
            return None
        self._access.attach(request)
        return await self._reply(request, target, principal_of(request))

    async def at_token_path(self, request: web.BaseRequest) -> Reply | None:
        """Return the reply to a path that begins with a token, or None for any other path."""
        target = target_of(request)
        if not target.startswith(TOKEN_PATH):
            return None
        token, slash, rest = target.removeprefix(TOKEN_PATH).partition("/")
        check = self._access.check(unquote(token), request.remote or "")
        return await self._reply(request, slash + rest, check)

    async def _reply(
        self, request: web.BaseRequest, target: str, who: Awaitable[Principal | None]
    ) -> Reply:
        try:
            principal = require(await who, Right.READ_IMAGES)
            reply = await self._allowed(request, target, principal)
        except MirrorError as error:
            reply = refusal(error)
        if self._content.draining or request.method not in {"GET", "HEAD"}:
            reply.force_close()
        reply.keep_private()
        return reply

    async def _allowed(self, request: web.BaseRequest, target: str, principal: Principal) -> Reply:
        if target.startswith(PREFIXES):
            space, name, _ = split_target(target)
            if may_read(principal, self._content.published, space, name):
                address = request.remote or ""

                async def who() -> Principal:
                    return principal

                asking = Asking(request.method, target, request.headers, address, who)
                return await self._content.reply(asking)
        elif target.startswith("/keys/") and request.method in {"GET", "HEAD"}:
            name = target.removeprefix("/keys/")
            if name in self._keys:
                kind = f"Content-Type: {KEY_TYPES[name]}\r\nCache-Control: no-cache\r\n".encode()
                return Reply(200, kind, [self._keys[name]])
        return not_found()
