"""Let plugins look at the files of new versions, and make further ones from them.

A plugin works in a process of its own (`mirror.isolation`), gets paths and returns findings and
files; it never sees the store.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from mirror.catalog.validations import Key, content_digest
from mirror.errors import MirrorError, ValidationFailed
from mirror.isolation.workshop import Workshop
from mirror.model import Finding, Item, Product, Severity, Version
from mirror.sync.derived import store_derived

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mirror.api import Distribution
    from mirror.plugin_manager import Plugins
    from mirror.settings import PluginSettings
    from mirror.store import Store
    from mirror.store.blobs import WritableBlobs
    from mirror.sync.plan import Planned


class Subject(msgspec.Struct, frozen=True):
    """A version to look at: what a plugin chose of it, the product with that alone.

    `judge` is the plugin and its version; `digest` is of the version's content.
    """

    product: Product
    version: Version
    distribution: str
    judge: str
    digest: str

    @property
    def key(self) -> Key:
        """Return what is found under."""
        return self.product.name, self.version.name, self.digest


class Verdict(msgspec.Struct, frozen=True):
    """What came of a version: findings, derived items, and the error that condemns it, if any."""

    findings: tuple[Finding, ...] = ()
    derived: tuple[Item, ...] = ()
    error: MirrorError | None = None


def judges(plugins: Plugins) -> dict[str, str]:
    """Name the plugin, with its version and settings, that answers for each distribution."""
    marks = {mark.partition("=")[0]: mark for mark in plugins.versions}
    return {each.id: marks[plugins.plugin_of(each.id)] for each in plugins.distributions}


def subjects(planned: Iterable[Planned], judges: Mapping[str, str]) -> Iterator[Subject]:
    """Yield every planned version that a plugin answers for.

    Items that were derived earlier are no part of what the plugin looks at.
    """
    for each in planned:
        if each.distribution is None:
            continue
        for version in each.product.versions:
            chosen = _chosen(each.distribution, each.product, version)
            if chosen is None:
                continue
            yield Subject(
                msgspec.structs.replace(each.product, versions=(chosen,)),
                chosen,
                each.distribution.id,
                judges[each.distribution.id],
                content_digest(chosen),
            )


def _chosen(distribution: Distribution, product: Product, version: Version) -> Version | None:
    """Return the version with what the plugin chooses of it; None if it fails.

    The plan has said so then, and left out what is new: this is published, and stays as it is.
    """
    own = tuple(item for item in version.items if not item.derived)
    own_version = msgspec.structs.replace(version, items=own)
    try:
        items = tuple(distribution.choose_items(product, own_version))
    except Exception:  # noqa: BLE001  (a plugin's code: anything may come)
        return None
    return own_version if items == own else msgspec.structs.replace(version, items=items)


def failure(subject: Subject, findings: Iterable[Finding]) -> MirrorError | None:
    """Return the error that the findings amount to, or None."""
    errors = [each for each in findings if each.severity is Severity.ERROR]
    if not errors:
        return None
    said = "; ".join(f"{each.message} ({each.code})" for each in errors)
    return ValidationFailed(f"{subject.product.name!r} {subject.version.name}: {said}")


async def look_at(
    news: Iterable[Subject], plugins: Plugins, store: Store, settings: PluginSettings
) -> list[tuple[Subject, Verdict]]:
    """Validate each version, and derive from the good ones.

    Whatever a plugin does condemns the version that it was looking at, and no other.
    """
    # a process serves one plugin: it is asked for all of its versions before another starts
    waiting = iter(sorted(news, key=lambda each: each.judge))
    verdicts: list[tuple[Subject, Verdict]] = []

    async def work(workshop: Workshop) -> None:
        for subject in waiting:
            verdict = await _look_at_one(subject, workshop, store.blobs)
            verdicts.append((subject, verdict))

    with store.incoming.scratch() as scratch:
        async with (
            Workshop(
                settings,
                plugins,
                scratch=scratch,
                readable=(store.dir.blobs,),
                private=(store.dir.root,),
            ) as workshop,
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(settings.processes):
                tasks.create_task(work(workshop))
    return verdicts


async def _look_at_one(subject: Subject, workshop: Workshop, blobs: WritableBlobs) -> Verdict:
    version = subject.version
    files = {item.name: blobs.path(item.sha256) for item in version.items}
    try:
        inspected = await workshop.inspect(subject.distribution, subject.product, version, files)
        error = failure(subject, inspected.findings)
        if error is not None:
            return Verdict(inspected.findings, error=error)
        about = f"plugin {subject.judge!r} failed on {subject.product.name!r} {version.name}"
        derived = await asyncio.to_thread(store_derived, inspected, version, blobs, about)
    except MirrorError as error:
        return Verdict(error=error)
    return Verdict(inspected.findings, derived)


def with_derived(version: Version, derived: Iterable[Item]) -> Version:
    """Return the version with the derived items, in place of those that it had."""
    own = tuple(item for item in version.items if not item.derived)
    items = (*own, *derived)
    return version if items == version.items else msgspec.structs.replace(version, items=items)
