"""A root file system, as one pass over its entries sees it, wherever they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror_custom_images.checks.bootloaders import Bootloaders
from mirror_custom_images.checks.cloud_init import CloudInit
from mirror_custom_images.checks.curtin_hooks import CurtinHooks
from mirror_custom_images.checks.harms import Harms
from mirror_custom_images.checks.kernels_inside import Kernels
from mirror_custom_images.checks.labels import Labels
from mirror_custom_images.checks.layout import Layout
from mirror_custom_images.checks.leftovers import leftovers
from mirror_custom_images.checks.os_release import OsRelease
from mirror_custom_images.checks.ownership import Ownership
from mirror_custom_images.checks.programs import Programs
from mirror_custom_images.checks.secrets import Accounts, PrivateKeys, secrets
from mirror_custom_images.checks.seen import Image, Seen, plain, shown
from mirror_custom_images.packages.collect import ManifestCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mirror.api import Product
    from mirror_custom_images.checks.os_release import System
    from mirror_custom_images.checks.seen import Topic
    from mirror_custom_images.entries import Entry
    from mirror_custom_images.packages.manifest import Manifest


class RootCheck:
    """Sees every entry of a root file system once, in any order; then has findings and a manifest.

        check = RootCheck(product, lambda path: f"root-tgz: {path}" if path else "root-tgz")
        for entry in entries:
            check.see(entry)
        yield from check.findings()
        manifest = check.manifest()

    `where` makes a finding's place of a path in the image; '' is the image as a whole. What is kept
    in memory does not grow with what is in the files; of names, only of those of a manifest that
    has no packages to list.
    """

    def __init__(self, product: Product, where: Callable[[str], str]) -> None:
        self._product = product
        self._where = where
        self._release, self._hooks = OsRelease(), CurtinHooks()
        self._layout, self._harms = Layout(), Harms()
        self._labels, self._ownership = Labels(), Ownership()
        self._topics: tuple[Topic, ...] = (
            self._release,
            Kernels(),
            Programs(),
            self._hooks,
            CloudInit(),
            Bootloaders(),
            leftovers(),
            secrets(),
            Accounts(),
            PrivateKeys(),
        )
        self._by_place: dict[str, list[Topic]] = {}
        for topic in self._topics:
            for place in topic.places:
                self._by_place.setdefault(place, []).append(topic)
        self._manifest = ManifestCollector()

    def see(self, entry: Entry) -> None:
        """Look at one entry; its content is read where something depends on it.

        Raises `FormatError` where the content can't be read.
        """
        name = entry.path
        seen = Seen(plain(name), entry)
        self._manifest.see(entry)
        self._harms.see(seen)
        self._layout.see(seen, name)
        self._labels.see(seen)
        self._ownership.see(seen)
        for topic in self._by_place.get(seen.path.partition("/")[0], ()):
            topic.see(seen)

    @property
    def is_root(self) -> bool:
        """Whether what was seen is a root file system of Linux: it has etc and usr."""
        return self._layout.is_root

    def system(self) -> System:
        """Return what the image says that it is."""
        return self._release.system()

    def findings(self) -> Iterator[Finding]:
        """Judge, when everything was seen."""
        image = Image(
            product=self._product,
            where=self._where,
            system=self._release.system(),
            hooks=self._hooks.there,
        )
        yield from self._harms.findings(image)
        yield from self._layout.findings(image)
        if not self._layout.is_root:
            return  # whatever else would be said follows from this
        for topic in self._topics:
            yield from topic.findings(image)
        yield from self._labels.findings(image)
        yield from self._ownership.findings(image)
        for path, fault in self._manifest.faults.items():
            what = f"the list of packages in {shown(path)} {fault}: the manifest lacks it"
            yield image.finding(Severity.WARNING, "packages-unread", path, what)

    def manifest(self) -> Manifest:
        """Return the manifest, when everything was seen."""
        return self._manifest.manifest()
