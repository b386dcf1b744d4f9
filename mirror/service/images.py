"""Images: what the boot sources offer, and what the channels publish. Lists come in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.model import utcnow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mirror.catalog.available import Page
    from mirror.model import AvailableImage, Problem
    from mirror.service.mirror import Mirror
    from mirror.service.notices import ReleaseNotice
    from mirror.sync.events import Emit
    from mirror.sync.resources import BootResource

PAGE = 100
"""Items of a page, unless another number is asked for."""

_MANY = 1000


class Images:
    """The images of one mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def available(
        self,
        *,
        source: str = "",
        os: str = "",
        release: str = "",
        arch: str = "",
        subarch: str = "",
        label: str = "",
        after: str = "",
        limit: int = PAGE,
    ) -> Page[AvailableImage]:
        """Return what the sources offer, as of the last sync or `refresh` that read them.

        By product, then source, each with what plugins found in its newest version. Conditions are
        exact; '' is none. `after` is the `next` of the page before.
        """
        from mirror.catalog.available import Page
        from mirror.service.findings import judged

        catalog = self._mirror.catalog
        page = catalog.available.page(
            after,
            max(1, limit),
            source=source,
            os=os,
            release=release,
            arch=arch,
            subarch=subarch,
            label=label,
        )
        return Page(judged(page.items, catalog), page.next)

    async def refresh(self, emit: Emit) -> tuple[Problem, ...]:
        """Read the sources now, and list what they offer; return those that could not be read.

        Raises `NothingSelected` where there is no enabled boot source.
        """
        from mirror.sync.look import list_offers

        channel = self._mirror.settings.sync.channel
        return await list_offers(self._mirror.tools(), channel, emit)

    def resources(
        self,
        channel: str,
        *,
        os: str = "",
        release: str = "",
        arch: str = "",
        subarch: str = "",
        label: str = "",
        after: str = "",
        limit: int = PAGE,
    ) -> Page[BootResource]:
        """Return what a channel publishes, by product; see `available`. Raises `NotFound`.

        Each comes with what plugins found in its versions, and what they say of it today. The first
        page of a snapshot that no sync made on this mirror takes a moment longer.
        """
        from mirror.catalog.available import Page
        from mirror.service.findings import of_resources
        from mirror.service.notices import with_notices
        from mirror.sync.resources import with_pins

        catalog = self._mirror.catalog
        conditions = {"os": os, "release": release, "arch": arch, "subarch": subarch}
        page = self._page(channel, after, limit, label=label, **conditions)
        pinned = with_pins(of_resources(page.items, catalog), catalog.pins(channel))
        return Page(with_notices(pinned, self._mirror.plugins, utcnow().date()), page.next)

    def each_resource(self, channel: str, **conditions: str) -> Iterator[BootResource]:
        """Yield everything that a channel publishes; see `resources`."""
        yield from _each(
            lambda after: self.resources(channel, **conditions, after=after, limit=_MANY)
        )

    def notices(self, channel: str) -> tuple[ReleaseNotice, ...]:
        """Return what an operator should know of the releases of a channel today, gravest first.

        Looks at everything that the channel publishes. Raises `NotFound`.
        """
        from mirror.service.notices import by_release, with_notices

        published = _each(lambda after: self._page(channel, after, _MANY))
        return by_release(with_notices(published, self._mirror.plugins, utcnow().date()))

    def _page(self, channel: str, after: str, limit: int, **conditions: str) -> Page[BootResource]:
        """Return a page of what a channel publishes, as it was written down."""
        import msgspec

        from mirror.catalog.available import Page
        from mirror.sync.resources import BootResource

        resources = self._mirror.catalog.resources
        snapshot_id = self._mirror.channels.current(channel)
        if not resources.has(snapshot_id):
            self._list(snapshot_id)
        page = resources.page(snapshot_id, after, max(1, limit), **conditions)
        decode = msgspec.json.Decoder(BootResource).decode
        return Page(tuple(map(decode, page.items)), page.next)

    def _list(self, snapshot_id: str) -> None:
        """Write down what a snapshot publishes, one product after the other."""
        from mirror.sync.published import each_published
        from mirror.sync.resources import published_now, resource_rows

        mirror = self._mirror
        snapshot = mirror.store.snapshots.load(snapshot_id)
        planned = each_published(snapshot, mirror.store.blobs)
        rows = list(resource_rows(planned, snapshot.notes, mirror.plugins))
        mirror.catalog.resources.add(snapshot_id, rows, keep=published_now(mirror.store))


def _each(ask: Callable[[str], Page[BootResource]]) -> Iterator[BootResource]:
    """Yield the items of every page, each of which is asked for by the cursor of the one before."""
    page = ask("")
    yield from page.items
    while page.next:
        page = ask(page.next)
        yield from page.items
