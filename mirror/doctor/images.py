"""Checks of what plugins say: of the versions that channels publish, and of their releases."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mirror.doctor.report import Check, failed, ok, warning
from mirror.errors import MirrorError
from mirror.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.service import Mirror
    from mirror.sync.resources import BootResource

_GRAVE = (Severity.ERROR, Severity.WARNING)
_NAMED = 3
"""Versions that are named, of those in which something was found."""


def image_checks(mirror: Mirror) -> Iterator[Check]:
    """Look at what each channel publishes; channels at one snapshot are one look."""
    channels: dict[str, list[str]] = {}
    for name, snapshot_id in sorted(mirror.channels.pointers().items()):
        channels.setdefault(snapshot_id, []).append(name)
    for names in channels.values():
        try:
            resources = list(mirror.images.each_resource(names[0]))
        except MirrorError as error:
            yield failed("images", error)
            continue
        yield _findings(names, resources)
        yield from _support(names, resources)


def _findings(channels: list[str], resources: list[BootResource]) -> Check:
    about = f"channel {', '.join(channels)}"
    counts: Counter[Severity] = Counter()
    named: list[str] = []
    for resource in resources:
        for version in resource.versions:
            grave = [each for each in version.findings if each.severity in _GRAVE]
            counts.update(each.severity for each in grave)
            if grave:
                named.append(f"{resource.product} {version.name}")
    if not named:
        return ok("findings", f"{about}: no plugin found a fault in what is published")
    said = " and ".join(f"{counts[kind]} {kind}s" for kind in _GRAVE if counts[kind])
    first = ", ".join(named[:_NAMED]) + (" ..." if len(named) > _NAMED else "")
    what = f"{about}: plugins found {said} in {len(named)} versions: {first}"
    return warning("findings", what, f"mirror channel images {channels[0]} --findings")


def _support(channels: list[str], resources: list[BootResource]) -> Iterator[Check]:
    from mirror.service.notices import by_release, notice_words

    about = f"channel {', '.join(channels)}"
    grave = [each for each in by_release(resources) if each.severity in _GRAVE]
    for each in grave:
        remedy = "See whether it is still needed: `mirror select list`, `mirror channel images`."
        yield warning("support", f"{about}: {notice_words(each)}", remedy)
    if not grave:
        yield ok("support", f"{about}: no plugin knows of support that ends soon")
