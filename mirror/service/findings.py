"""What plugins found in versions, looked up when these are shown: one query for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from mirror.catalog.validations import content_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.catalog import Catalog
    from mirror.catalog.validations import Validation
    from mirror.model import AvailableImage
    from mirror.publish.diff import SnapshotDiff, VersionSize
    from mirror.service.snapshots import PublishedVersion
    from mirror.sync.plan import Planned
    from mirror.sync.resources import BootResource, ResourceVersion

    Judged = TypeVar("Judged", AvailableImage, PublishedVersion)
    Shown = TypeVar("Shown", AvailableImage, PublishedVersion, ResourceVersion, VersionSize)


def judged(found: Iterable[Judged], catalog: Catalog) -> tuple[Judged, ...]:
    """Return versions, or images of which the newest version counts, with what was found."""
    versions = tuple(found)
    known = catalog.validations.of({each.product for each in versions})
    return tuple(
        _with(each, known.get((each.product, each.version, each.digest))) for each in versions
    )


def of_resources(found: Iterable[BootResource], catalog: Catalog) -> tuple[BootResource, ...]:
    """Return products with what was found in their versions."""
    resources = tuple(found)
    known = catalog.validations.of({each.product for each in resources})
    return tuple(
        msgspec.structs.replace(
            each,
            versions=tuple(
                _with(version, known.get((each.product, version.name, version.digest)))
                for version in each.versions
            ),
        )
        for each in resources
    )


def of_diff(
    found: SnapshotDiff,
    old: Mapping[str, Planned],
    new: Mapping[str, Planned],
    catalog: Catalog,
) -> SnapshotDiff:
    """Return a difference with what was found in the versions that came and went."""
    known = catalog.validations.of({each.product for each in found.products})

    def of_side(
        name: str, sizes: tuple[VersionSize, ...], side: Mapping[str, Planned]
    ) -> tuple[VersionSize, ...]:
        versions = {each.name: each for each in side[name].product.versions} if sizes else {}
        return tuple(
            _with(each, known.get((name, each.version, content_digest(versions[each.version]))))
            for each in sizes
        )

    products = tuple(
        msgspec.structs.replace(
            each,
            added=of_side(each.product, each.added, new),
            removed=of_side(each.product, each.removed, old),
        )
        for each in found.products
    )
    return msgspec.structs.replace(found, products=products)


def _with(shown: Shown, validation: Validation | None) -> Shown:
    if validation is None:
        return shown
    return msgspec.structs.replace(shown, judge=validation.judge, findings=validation.findings)
