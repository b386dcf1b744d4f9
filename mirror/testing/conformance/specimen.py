"""What the checks look at: a distribution, loaded as the mirror does, and its sample, published."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mirror.isolation.workshop import Workshop
from mirror.service import Mirror
from mirror.simplestreams.limits import Limits
from mirror.simplestreams.read import parse_products
from mirror.testing.running import write_settings
from mirror.testing.sample import STREAM, SampleUpstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from mirror.api import (
        BuildOrder,
        Built,
        Distribution,
        Finding,
        Item,
        Package,
        Product,
        Version,
    )
    from mirror.isolation.workshop import Inspected
    from mirror.plugin_manager import Plugins
    from mirror.settings import Settings
    from mirror.signing.key import SigningKey
    from mirror.testing.conformance.sample import Sample


class Wrong(AssertionError):
    """What a plugin did wrong, in a sentence for its author."""


def must(fact: object, otherwise: str) -> None:
    """Raise `Wrong` unless it is so."""
    __tracebackhide__ = True
    if not fact:
        raise Wrong(otherwise)


@dataclass(frozen=True)
class Specimen:
    """A distribution with its sample, published below `upstream.root`, and read as a sync reads it.

    `workshop` and `runner` let the plugin work on files in a process of its own, as a sync does.
    """

    sample: Sample
    folder: Path
    blobs: Path
    plugins: Plugins
    distribution: Distribution
    upstream: SampleUpstream
    products: tuple[Product, ...]
    workshop: Workshop
    runner: asyncio.Runner

    def newest(self) -> list[tuple[Product, Version]]:
        """Return the newest version of each product."""
        return [(product, product.versions[-1]) for product in self.products]

    def chosen(self, product: Product, version: Version) -> tuple[Item, ...]:
        """Return what the distribution takes of a version."""
        return tuple(self.distribution.choose_items(product, version))

    def files(self, product: Product, version: Version) -> dict[str, Path]:
        """Return the good files of the items that are taken, by item name.

        They are named by their digest, as in a mirror's store.
        """
        return {each.name: self._file(each) for each in self.chosen(product, version)}

    def with_bad(self, files: Mapping[str, Path], bad: Mapping[str, bytes]) -> dict[str, Path]:
        """Return the files with some of them replaced."""
        replaced = {}
        for name, data in bad.items():
            replaced[name] = self.blobs / hashlib.sha256(data).hexdigest()
            if not replaced[name].exists():
                replaced[name].write_bytes(data)
        return {**files, **replaced}

    def _file(self, item: Item) -> Path:
        blob = self.blobs / item.sha256
        if not blob.exists():
            blob.hardlink_to(self.upstream.root / item.path)
        return blob

    def inspect(self, product: Product, version: Version, files: Mapping[str, Path]) -> Inspected:
        """Let the plugin validate, and derive, in its own process. Raises a `MirrorError`."""
        work = self.workshop.inspect(self.distribution.id, product, version, files)
        return self.runner.run(work)

    def findings(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> tuple[Finding, ...]:
        """Let the plugin validate, and return what it finds. Raises a `MirrorError`."""
        inspected = self.inspect(product, version, files)
        if inspected.folder is not None:
            shutil.rmtree(inspected.folder, ignore_errors=True)
        return inspected.findings

    def packages(
        self, product: Product, version: Version, files: Mapping[str, Path]
    ) -> tuple[Package, ...]:
        """Let the plugin list packages. Raises a `MirrorError`, such as `ManifestUnreadable`."""
        work = self.workshop.packages(self.distribution.id, product, version, files)
        return self.runner.run(work)

    def build(self, product: Product, file: Path, order: BuildOrder) -> tuple[Built, Path]:
        """Let the plugin build an image; return it, and the folder that it is in.

        Raises a `MirrorError`, such as `ImageNotBuildable`.
        """
        work = self.workshop.build(self.distribution.id, product, file, order)
        return self.runner.run(work)

    def overrides(self, method: str) -> bool:
        """Say whether the distribution has this method of its own."""
        from mirror.api import Distribution

        own: Callable[..., Any] = getattr(type(self.distribution), method)
        return own is not getattr(Distribution, method)


@contextmanager
def prepared(
    sample: Sample, folder: Path, key: SigningKey, *, upstream: SampleUpstream | None = None
) -> Iterator[Specimen]:
    """Load the plugin, publish the sample below `folder`, and be ready to inspect.

    An `upstream` that has it published already saves that.

    Raises `Wrong` where the plugin brings no such distribution, and `PluginBroken` where it does
    not load.
    """
    settings = settings_of(sample, folder)
    plugins = Mirror(settings).plugins
    distribution = _find(sample, plugins)
    upstream = upstream or SampleUpstream.create(
        folder / "upstream", key=key, size=sample.size, products=sample.products
    )
    scratch, blobs = folder / "scratch", folder / "blobs"
    scratch.mkdir()
    blobs.mkdir()
    workshop = Workshop(settings.plugins, plugins, scratch=scratch, readable=(blobs,))
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(workshop.__aenter__())
        try:
            yield Specimen(
                sample=sample,
                folder=folder,
                blobs=blobs,
                plugins=plugins,
                distribution=distribution,
                upstream=upstream,
                products=_read(upstream),
                workshop=workshop,
                runner=runner,
            )
        finally:
            runner.run(workshop.__aexit__(None, None, None))


def settings_of(sample: Sample, folder: Path, section: Mapping[str, Any] | None = None) -> Settings:
    """Write settings to a file below `folder`, and read them as a mirror does."""
    file = folder / "mirror.toml"
    return write_settings(file, plugin_settings(sample, section), data_dir=folder / "data")


def plugin_settings(sample: Sample, section: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return settings that load this plugin alone, strictly, with `section` for its own."""
    own = sample.settings if section is None else section
    chosen: dict[str, Any] = {"allow": [sample.plugin], "strict": True}
    return {"plugins": {**chosen, **({sample.plugin: dict(own)} if own else {})}}


def _find(sample: Sample, plugins: Plugins) -> Distribution:
    loaded = [record for record in plugins.records if record.status == "loaded"]
    must(loaded, f"no plugin {sample.plugin!r} is installed: pip install -e . in its folder")
    brought = {each.id: each for each in plugins.distributions}
    names = ", ".join(map(repr, brought)) or "none"
    must(
        sample.distribution in brought,
        f"plugin {sample.plugin!r} brings no distribution {sample.distribution!r}; it has: {names}",
    )
    return brought[sample.distribution]


def _read(upstream: SampleUpstream) -> tuple[Product, ...]:
    """Read what was published as a sync reads it."""
    files = [upstream.root / STREAM / f"{name}.json" for name in upstream.documents]
    read = [parse_products(file.read_bytes(), Limits()) for file in files]
    rejected = [each for one in read for each in one.rejected]
    must(not rejected, f"the mirror can't read the sample: {[each.error for each in rejected]}")
    products = tuple(itertools.chain.from_iterable(one.products for one in read))
    must(products, "the sample has no products")
    return products


def names(things: Iterable[str], most: int = 5) -> str:
    """Put a few of many things into a sentence."""
    found = list(things)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return f"{', '.join(found[:most])}{more}"
