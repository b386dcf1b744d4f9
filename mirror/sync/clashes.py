"""Planned versions that claim one path with different content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.errors import MirrorError, PathConflict
from mirror.simplestreams.conflicts import conflicting_path, conflicting_paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.sync.offers import Planned


def clashing_versions(
    planned: Iterable[Planned], published: Mapping[str, Planned]
) -> dict[tuple[str, str], MirrorError]:
    """Find every version that claims a path which another one claims with other content.

    A version that is published as it is keeps its path; otherwise both are wrong.
    """
    conflicts = conflicting_paths(each.product for each in planned)
    clashes: dict[tuple[str, str], MirrorError] = {}
    for each in planned if conflicts else ():
        name = each.product.name
        for version in each.product.versions:
            path = conflicting_path(version, conflicts)
            if path and not _is_published(published.get(name), version.name, path):
                what = f"{name!r} {version.name}: {path} is claimed with other content too"
                clashes[name, version.name] = PathConflict(what)
    return clashes


def _is_published(published: Planned | None, version: str, path: str) -> bool:
    return published is not None and any(
        item.path == path
        for each in published.product.versions
        if each.name == version
        for item in each.items
    )
