"""A MAAS region's API for uploaded images, as MAAS behaves: it appends, and trusts no client.

The state is in memory. `faults` are what goes wrong with the next PUTs, one each.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import web

KEY = "ck1:tk1:s3cr3tXYZ"
_FIELD = re.compile(r'(\w+)="([^"]*)"')
_TYPES = {"tgz", "tbz", "txz", "ddtgz", "ddtbz", "ddtxz", "ddtar", "ddbz2", "ddgz", "ddxz", "ddraw"}


@dataclass
class Held:
    """A file of the region: what it is to be, and what came of it."""

    sha256: str
    size: int
    data: bytearray = field(default_factory=bytearray)
    complete: bool = False


@dataclass
class FakeRegion:
    """What a region knows, and how this one says how far an upload is: share, percent, rounded."""

    progress: str = "share"
    clock: float = 0.0
    """Seconds that it is ahead."""
    most: int = 1 << 30
    """Bytes of a body, before what is in front of it answers 413."""
    faults: list[str] = field(default_factory=list)
    log: list[tuple[str, str, int]] = field(default_factory=list)
    files: dict[str, Held] = field(default_factory=dict)
    images: dict[tuple[str, str], dict] = field(default_factory=dict)
    nonces: set[str] = field(default_factory=set)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30, middlewares=[self._guard])
        base = "/MAAS/api/2.0/boot-resources/"
        app.router.add_post(base, self._create)
        app.router.add_get(base + "{id}/", self._show)
        app.router.add_delete(base + "{id}/", self._delete)
        app.router.add_put(base + "{id}/upload/{sha}/", self._upload)
        return app

    # --- what stands before every request ---------------------------------------------------------

    @web.middleware
    async def _guard(self, request, handler):
        now = time.time() + self.clock
        try:
            self._authenticate(request, now)
            response = await handler(request)
        except web.HTTPException as error:
            response = error
        response.headers["Date"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))
        self.log.append((request.method, request.path, response.status))
        if isinstance(response, web.HTTPException):
            raise response
        return response

    def _authenticate(self, request, now):
        header = request.headers.get("Authorization", "")
        said = {name: unquote(value) for name, value in _FIELD.findall(header)}
        consumer, token, secret = KEY.split(":")
        wanted = {
            "oauth_consumer_key": consumer,
            "oauth_token": token,
            "oauth_signature": f"&{secret}",
            "oauth_signature_method": "PLAINTEXT",
            "oauth_version": "1.0",
        }
        if not header.startswith("OAuth ") or any(said.get(k) != v for k, v in wanted.items()):
            raise web.HTTPUnauthorized(text="Authorization Error: 'Invalid signature.'")
        given = int(said["oauth_timestamp"])
        if abs(now - given) > 300:
            text = f"Authorization Error: 'Expired timestamp: given {given} and now {int(now)}'"
            raise web.HTTPUnauthorized(text=text)
        if said["oauth_nonce"] in self.nonces:
            raise web.HTTPUnauthorized(text="Authorization Error: 'Nonce already used'")
        self.nonces.add(said["oauth_nonce"])

    # --- the API ----------------------------------------------------------------------------------

    async def _create(self, request):
        assert request.content_type == "multipart/form-data"
        form = await request.post()
        name, arch, sha = form["name"], form["architecture"], form["sha256"]
        if form.get("filetype", "tgz") not in _TYPES:
            raise web.HTTPBadRequest(text='{"filetype": ["not one of the available choices"]}')
        if name in {"ubuntu", "noble", "centos70"} or name.startswith("ubuntu/noble"):
            raise web.HTTPBadRequest(text=f'{{"name": ["{name} is a reserved name"]}}')
        if arch not in {"amd64/generic", "arm64/generic"}:
            raise web.HTTPBadRequest(text='{"architecture": ["not a usable architecture"]}')
        held = self.files.setdefault(sha, Held(sha, int(form["size"])))
        if held.size != int(form["size"]):
            raise web.HTTPBadRequest(text='{"__all__": ["File already exists with other size"]}')
        image = self.images.setdefault(
            (name, arch), {"id": len(self.images) + 1, "name": name, "form": {}, "sets": []}
        )
        image["form"] = {key: str(value) for key, value in form.items()}
        if sha not in image["sets"]:
            keep = image["sets"] if form.get("keep_old") == "true" else []
            image["sets"] = [*keep, sha]
        return web.json_response(self._describe(image), status=201)

    def _describe(self, image):
        sets = {}
        for number, sha in enumerate(image["sets"]):
            held = self.files[sha]
            said = {"filename": "root.tgz", "sha256": sha, "size": held.size}
            said["complete"] = held.complete
            if not held.complete:
                said["progress"] = self._progress(held)
                said["upload_uri"] = f"/MAAS/api/2.0/boot-resources/{image['id']}/upload/{sha}/"
            sets[f"20261124.{number}"] = {"files": {"root.tgz": said}}
        return {"id": image["id"], "name": image["name"], "sets": sets}

    def _progress(self, held):
        share = len(held.data) / held.size
        return {"share": share, "percent": share * 100, "rounded": round(share * 100)}[
            self.progress
        ]

    def _image(self, request):
        for image in self.images.values():
            if str(image["id"]) == request.match_info["id"]:
                return image
        raise web.HTTPNotFound(text="Not Found")

    async def _show(self, request):
        return web.json_response(self._describe(self._image(request)))

    async def _delete(self, request):
        image = self._image(request)
        self.images = {key: each for key, each in self.images.items() if each is not image}
        for sha in image["sets"]:
            del self.files[sha]
        return web.Response(status=204)

    async def _upload(self, request):
        self._image(request)
        if request.content_length is None:
            raise web.HTTPLengthRequired(text="no Content-Length")
        if request.content_length > self.most:
            raise web.HTTPRequestEntityTooLarge(self.most, request.content_length)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "cut":
            request.transport.abort()
            raise web.HTTPBadGateway
        if fault.isdecimal():
            raise web.HTTPServiceUnavailable(text="try again")
        body = await request.read()
        held = self.files[request.match_info["sha"]]
        if held.complete:
            raise web.HTTPBadRequest(text="Cannot upload to a complete file.")
        if len(held.data) + len(body) > held.size:
            raise web.HTTPBadRequest(text="Too much data received.")
        held.data += body
        if len(held.data) == held.size:
            if hashlib.sha256(held.data).hexdigest() != held.sha256:
                raise web.HTTPBadRequest(text="Saved content does not match given SHA256 value.")
            held.complete = True
        if fault == "lost answer":
            request.transport.abort()
            raise web.HTTPBadGateway
        return web.Response()


@contextlib.asynccontextmanager
async def running(region: FakeRegion):
    """Yield the address of the region."""
    runner = web.AppRunner(region.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/MAAS"
    finally:
        await runner.cleanup()
