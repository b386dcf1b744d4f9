"""What a channel publishes, as it is listed for people: a row for each product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.validations import content_digest
from mirror.model import Attributes, Finding, Product
from mirror.sync.available import title_of
from mirror.sync.pins import PinRules
from mirror.sync.selecting import kernel_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mirror.api import Distribution
    from mirror.model import Pin
    from mirror.plugin_manager import Plugins
    from mirror.store import Store
    from mirror.sync.plan import Planned


class ResourceVersion(msgspec.Struct, frozen=True):
    """A version that is published, and the bytes of its items.

    `digest` is of what its items are; `findings` is what the plugin `judge` (`ubuntu=0.1.0`) found
    in them when it last looked ('': none has).
    """

    name: str
    bytes: int
    digest: str = ""
    judge: str = ""
    findings: tuple[Finding, ...] = ()


class BootResource(msgspec.Struct, frozen=True, kw_only=True):
    """A product that a channel publishes. `subarch` is its kernel, as MAAS names it.

    `pinned` is the version that a pin of the channel names for it, '' for none; `notes` are what
    the sync that published it said of it; `notices` are what its plugin says of it today (support
    that ends); `attributes` are the product's own. `distribution` is whose images it is one of, as
    a plugin names it ('': no plugin claims it).
    """

    product: str
    os: str
    release: str
    arch: str
    subarch: str
    label: str
    title: str
    source: str
    versions: tuple[ResourceVersion, ...]
    notes: tuple[str, ...] = ()
    notices: tuple[Finding, ...] = ()
    pinned: str = ""
    distribution: str = ""
    content_id: str = ""
    attributes: Attributes = {}


def resource_rows(
    planned: Iterable[Planned], notes: Mapping[str, list[str]], plugins: Plugins
) -> Iterator[tuple[str, ...]]:
    """Yield the rows that `catalog.Resources.add` takes."""
    for each in planned:
        found = _resource(each, notes, plugins)
        document = msgspec.json.encode(found).decode()
        fields = (found.os, found.release, found.arch, found.subarch, found.label)
        yield (found.product, *fields, document)


def with_pins(resources: Iterable[BootResource], pins: Iterable[Pin]) -> tuple[BootResource, ...]:
    """Say of each what it is pinned to. Raises `FilterInvalid`."""
    rules = PinRules(pins, {})
    return tuple(
        msgspec.structs.replace(
            each,
            pinned=rules.version_of(Product(each.product, each.content_id, each.attributes, ())),
        )
        for each in resources
    )


def published_now(store: Store) -> set[str]:
    """Return the snapshots that channels publish."""
    return {at for name in store.channels.names() if (at := store.channels.current(name))}


def _resource(planned: Planned, notes: Mapping[str, list[str]], plugins: Plugins) -> BootResource:
    product, about = planned.product, planned.product.attributes
    distribution = _distribution(planned, plugins)
    return BootResource(
        product=product.name,
        os=product.os,
        release=product.release,
        arch=product.arch,
        subarch=kernel_of(about),
        label=str(about.get("label", "")),
        title=title_of(product, distribution),
        source=planned.source,
        versions=tuple(
            ResourceVersion(
                version.name, sum(item.size for item in version.items), content_digest(version)
            )
            for version in product.versions
        ),
        notes=tuple(notes.get(product.name, ())),
        distribution=distribution.id if distribution else "",
        content_id=product.content_id,
        attributes=about,
    )


def _distribution(planned: Planned, plugins: Plugins) -> Distribution | None:
    if planned.distribution is not None:
        return planned.distribution
    try:
        return plugins.claimant(planned.product)
    except Exception:  # noqa: BLE001  (a plugin's code: anything may come)
        return None
