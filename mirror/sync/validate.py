"""Let plugins look at the files of new versions, and make further ones from them.

A plugin gets paths and returns findings and files; it never sees the store. What it finds is kept
by a key of the plugin's version and the files' digests, so that a version is looked at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import MirrorError, PluginError, UnsafePath, ValidationFailed
from mirror.model import Finding, Item, Product, Severity, Version
from mirror.simplestreams.paths import check_item_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.api import Derived, Distribution
    from mirror.plugin_manager import Plugins
    from mirror.store.blobs import WritableBlobs
    from mirror.sync.plan import Planned

_AT_ONCE = 2
"""Versions looked at side by side: the work is reading headers and waiting for the disk."""


class Subject(msgspec.Struct, frozen=True):
    """A version to look at, and the key under which what is found is kept."""

    key: str
    product: Product
    version: Version
    distribution: Distribution


class Verdict(msgspec.Struct, frozen=True):
    """What came of a version: findings, derived items, and the error that condemns it, if any."""

    findings: list[Finding]
    derived: tuple[Item, ...] = ()
    error: MirrorError | None = None


def subjects(planned: Iterable[Planned], plugins: Plugins) -> list[Subject]:
    """Return every planned version that a plugin answers for, with its key.

    Items that were derived earlier are no part of what the plugin looks at.
    """
    loaded = "\n".join(plugins.versions)
    found = []
    for each in planned:
        if each.distribution is None:
            continue
        for version in each.product.versions:
            items = _chosen(each.distribution, each.product, version)
            if items is None:
                continue
            chosen = msgspec.structs.replace(version, items=items)
            key = _key(loaded, each.distribution.id, each.product, chosen)
            found.append(Subject(key, each.product, chosen, each.distribution))
    return found


def _chosen(
    distribution: Distribution, product: Product, version: Version
) -> tuple[Item, ...] | None:
    """Return what the plugin chooses; None if it fails.

    The plan has said so then, and left out what is new: this is published, and stays as it is.
    """
    try:
        return tuple(distribution.choose_items(product, version))
    except Exception:  # noqa: BLE001  (a plugin's code: anything may come)
        return None


def failure(subject: Subject, findings: Iterable[Finding]) -> MirrorError | None:
    """Return the error that the findings amount to, or None."""
    errors = [each for each in findings if each.severity is Severity.ERROR]
    if not errors:
        return None
    said = "; ".join(f"{each.message} ({each.code})" for each in errors)
    return ValidationFailed(f"{subject.product.name!r} {subject.version.name}: {said}")


async def look_at(
    news: Iterable[Subject], blobs: WritableBlobs, scratch_root: Path
) -> dict[str, Verdict]:
    """Validate each version, and derive from the good ones; verdicts by key.

    Plugins run in threads. Whatever a plugin raises condemns the version that it was looking at.
    """
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(subject: Subject) -> tuple[str, Verdict]:
        async with turn:
            return subject.key, await asyncio.to_thread(_look_at_one, subject, blobs, scratch_root)

    return dict(await asyncio.gather(*(one(subject) for subject in news)))


def _look_at_one(subject: Subject, blobs: WritableBlobs, scratch_root: Path) -> Verdict:
    files = {item.name: blobs.path(item.sha256) for item in subject.version.items}
    scratch = Path(tempfile.mkdtemp(prefix="derive-", dir=scratch_root))
    try:
        return _ask(subject, files, scratch, blobs)
    except MirrorError as error:
        return Verdict([], error=error)
    except Exception as error:  # noqa: BLE001  (a plugin's code: anything may come)
        what = (
            f"plugin {subject.distribution.id!r} failed on {subject.product.name!r} "
            f"{subject.version.name}: {type(error).__name__}: {error}"
        )
        return Verdict([], error=PluginError(what))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _ask(
    subject: Subject, files: Mapping[str, Path], scratch: Path, blobs: WritableBlobs
) -> Verdict:
    product, version, distribution = subject.product, subject.version, subject.distribution
    findings = list(distribution.validate(product, version, files))
    error = failure(subject, findings)
    if error is not None:
        return Verdict(findings, error=error)
    made = distribution.derive(product, version, files, scratch)
    return Verdict(findings, derived=tuple(_store(each, scratch, blobs) for each in made))


def _store(derived: Derived, scratch: Path, blobs: WritableBlobs) -> Item:
    """Take a derived file into the store: its digest is computed here, never believed."""
    check_item_path(derived.path)
    file = derived.file.resolve()
    if not file.is_relative_to(scratch.resolve()) or not file.is_file():
        raise UnsafePath(f"derived item {derived.name!r} is not a file in its scratch directory")
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    size = file.stat().st_size
    blobs.adopt(file, sha256)
    return Item(derived.name, derived.ftype, derived.path, sha256, size, derived.attributes)


def with_derived(version: Version, derived: Iterable[Item]) -> Version:
    """Return the version with the derived items added, in place of those of the same name."""
    items = {item.name: item for item in (*version.items, *derived)}
    return msgspec.structs.replace(version, items=tuple(items.values()))


def _key(loaded: str, distribution: str, product: Product, version: Version) -> str:
    digest = hashlib.sha256(f"{loaded}\n{distribution}\n{product.name}\n{version.name}".encode())
    for item in sorted(version.items, key=lambda each: each.name):
        digest.update(f"\n{item.name} {item.sha256}".encode())
    return digest.hexdigest()
