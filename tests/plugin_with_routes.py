"""Plugins with routes: one that does all that a handler can, and two that can't be used."""

from __future__ import annotations

HOSTS = '''
    from __future__ import annotations

    import threading
    import time
    from typing import Annotated, Any

    import msgspec
    from msgspec import Meta

    from mirror.api import CommandFailed, Route, hookimpl

    Name = Annotated[str, Meta(pattern="^[a-z0-9]{1,20}$", max_length=20)]

    class Host(msgspec.Struct, frozen=True):
        """A host."""
        name: str
        cores: int = 1

    class Page(msgspec.Struct, frozen=True):
        """Hosts: the name of this type is one that the mirror has, too."""
        items: list[Host]
        next: str = ""

    class Which(msgspec.Struct, frozen=True):
        name: Name

    class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        cores: Annotated[int, Meta(ge=1, le=1000)]

    class Filter(msgspec.Struct, frozen=True):
        least: Annotated[int, Meta(ge=0, le=1000)] = 0
        names: list[Name] = []

    class Trap(msgspec.Struct, frozen=True):
        text: str
        def __post_init__(self):
            if self.text == "exit":
                raise SystemExit("from a type")
            if self.text == "hang":
                time.sleep(60)

    HOSTS = {"one": Host("one", 4)}

    def list_(call):
        assert call.where is None and call.body is None
        found = [h for h in HOSTS.values() if h.cores >= call.query.least]
        if call.query.names:
            found = [h for h in found if h.name in call.query.names]
        return Page(found)

    def show(call):
        if call.where.name not in HOSTS:
            raise CommandFailed(f"there is no host {call.where.name}", remedy="List them first.")
        return HOSTS[call.where.name]

    def put(call):
        HOSTS[call.where.name] = Host(call.where.name, call.body.cores)
        return HOSTS[call.where.name]

    def remove(call):
        HOSTS.pop(call.where.name, None)

    def thread(call):
        return threading.current_thread().name

    def fail(call):
        raise RuntimeError("the password is hunter2")

    def leave(call):
        raise SystemExit(3)

    def surrogate(call):
        raise CommandFailed("bad \\udcff name", remedy="token=abcdefgh")

    def unspeakable(call):
        class Bad:
            def __str__(self): raise ValueError("no")
        raise CommandFailed(Bad())

    def hang(call):
        time.sleep(60)

    def spin(call):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            pass
        return "done"

    def wrong_type(call):
        return Host(7)

    def wrong_kind(call):
        return object()

    async def _later():
        return Host("later")

    def coroutine(call):
        return _later()

    def endless(call):
        deep = []
        deep.append(deep)
        return deep

    def huge(call):
        return "x" * (9 * 2**20)

    def something(call):
        return "something"

    def trap(call):
        return call.body.text

    def denied(call):
        from mirror.errors import TokenRequired
        raise TokenRequired("as if it were ours")

    def plain(path, handler, returns=str):
        return Route(method="GET", path=path, handler=handler, summary="Try.", returns=returns)

    @hookimpl
    def mirror_routes(context):
        return [
            Route(method="GET", path="/hosts", handler=list_, summary="List the hosts.",
                  query=Filter, returns=Page),
            Route(method="GET", path="/hosts/{name}", handler=show, summary="Show a host.",
                  where=Which, returns=Host),
            Route(method="PUT", path="/hosts/{name}", handler=put, summary="Set a host.",
                  right="operate", where=Which, body=Wanted, returns=Host),
            Route(method="DELETE", path="/hosts/{name}", handler=remove, summary="Remove a host.",
                  where=Which),
            Route(method="POST", path="/trap", handler=trap, summary="Try.",
                  body=Trap, returns=str),
            plain("/thread", thread),
            plain("/fail", fail),
            plain("/leave", leave),
            plain("/surrogate", surrogate),
            plain("/unspeakable", unspeakable),
            plain("/hang", hang),
            plain("/spin", spin),
            plain("/wrong-type", wrong_type, Host),
            plain("/wrong-kind", wrong_kind, Host),
            plain("/coroutine", coroutine, Host),
            plain("/endless", endless, Any),
            plain("/huge", huge),
            plain("/nothing", something, None),
            plain("/denied", denied),
        ]
'''
BROKEN = """
    raise OSError("at import")
"""
UNFIT = """
    from mirror.api import Route, hookimpl

    async def answer(call):
        return "x"

    @hookimpl
    def mirror_routes(context):
        return [Route(method="GET", path="/it", handler=answer, summary="Try.", returns=str)]
"""
