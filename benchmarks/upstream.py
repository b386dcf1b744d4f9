"""The stream that syncs are measured with: 40 products x 2 versions x 4 items, signed, 2.2 GB.

Four kernels of a release share its squashfs and manifest, as real streams have it: 200 image files,
and 4 of metadata. The files are made once and cached; the metadata is signed anew for each run,
since a mirror refuses an old index. `publish(n)` offers the state after n updates, each of which
gives one product a new version (4 files).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from mirror.signing.key import ED25519, SigningKey
from mirror.testing import artefacts
from mirror.testing.sample import SampleUpstream
from mirror.testing.sample_products import UBUNTU, SampleFile, SampleProduct, day

if TYPE_CHECKING:
    from pathlib import Path

UPDATES = 3

_RELEASES = ("bionic", "focal", "jammy", "noble", "plucky")
_ARCHES = ("amd64", "arm64")
_FLAVOURS = ("ga", "hwe", "ga-lowlatency", "hwe-lowlatency")
_SQUASHFS = 59_000_000
_INITRD = 9_500_000
_KERNEL = 3_000_000


@dataclass(frozen=True)
class Upstream:
    """The folders that nginx serves: `images` at /, `current` at /streams/."""

    root: Path

    @property
    def images(self) -> Path:
        """Return the folder of the image files."""
        return self.root / "images"

    @property
    def current(self) -> Path:
        """Return the link to the published metadata."""
        return self.root / "current"

    @property
    def keyring(self) -> Path:
        """Return the public key."""
        return self.root / "state-0" / "keyring.gpg"

    def publish(self, updates: int) -> None:
        """Offer the stream as it is after so many updates."""
        fresh = self.root / "current.new"
        fresh.symlink_to(f"state-{updates}")
        fresh.replace(self.current)

    def files(self, updates: int = 0) -> dict[str, int]:
        """Return the size of every image file that a state lists, by path."""
        document = json.loads((self.root / f"documents-{updates}.json").read_bytes())
        return {
            item["path"]: item["size"]
            for product in document["products"].values()
            for version in product["versions"].values()
            for item in version["items"].values()
        }


def prepare(cache: Path, scale: float) -> Upstream:
    """Make the image files unless they are here, and sign all states; return the stream."""
    upstream = Upstream(cache / f"stream-{scale:g}")
    last = upstream.root / f"documents-{UPDATES}.json"
    if not last.exists():
        print(f"making the upstream, {2.2 * scale:.1f} GB of files")
        _make_files(upstream, scale)
    with _key(cache / "upstream-key") as key:
        for updates in range(UPDATES + 1):
            _sign(upstream.root, updates, key)
    upstream.publish(0)
    return upstream


def _key(home: Path) -> SigningKey:
    if not SigningKey.exists(home):
        SigningKey.create(home, "The benchmarks' upstream", algorithm=ED25519).close()
    return SigningKey.open(home)


def _sign(root: Path, updates: int, key: SigningKey) -> None:
    time = (
        datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1) + timedelta(minutes=updates)
    )
    stream = SampleUpstream(root / f"state-{updates}", key=key, size=0, updated=time)
    document = json.loads((root / f"documents-{updates}.json").read_bytes())
    stream.documents = {UBUNTU: document}
    stream.write()
    for file in (stream.root / "streams" / "v1").iterdir():
        # nginx makes ETags of time and size, and all states are signed within a second
        os.utime(file, (time.timestamp(), time.timestamp()))


def _make_files(upstream: Upstream, scale: float) -> None:
    stream = SampleUpstream.create(
        upstream.images, size=int(_SQUASHFS * scale), versions=2, products=_products(scale)
    )
    _save(upstream, stream, 0)
    for number, name in enumerate(list(stream.products())[:: len(_FLAVOURS)][:UPDATES], start=1):
        stream.add_version(only=name)
        _forget_oldest(stream.products()[name])
        _save(upstream, stream, number)


def _forget_oldest(product: dict[str, Any]) -> None:
    versions = product["versions"]
    del versions[min(versions)]


def _save(upstream: Upstream, stream: SampleUpstream, number: int) -> None:
    document = upstream.root / f"documents-{number}.json"
    document.write_text(json.dumps(stream.documents[UBUNTU]))


def _products(scale: float) -> list[SampleProduct]:
    return [
        SampleProduct(
            name=f"com.ubuntu.maas.stable:v3:boot:{release}:{arch}:{flavour}.",
            content_id=UBUNTU,
            attributes={
                "arch": arch,
                "kflavor": flavour.partition("-")[2] or "generic",
                "krel": release,
                "label": "stable",
                "os": "ubuntu",
                "release": release,
                "release_codename": release.title(),
                "release_title": release,
                "subarch": flavour,
                "subarches": f"generic,{flavour}",
                "support_eol": "2030-01-01",
                "version": release,
            },
            version=day,
            files=partial(_files, release, arch, flavour, scale),
        )
        for release in _RELEASES
        for arch in _ARCHES
        for flavour in _FLAVOURS
    ]


def _files(  # noqa: PLR0917  (what partial is given, and what the sample adds)
    release: str, arch: str, flavour: str, scale: float, version: str, size: int
) -> list[SampleFile]:
    base = f"{release}/{arch}/{version}"
    boot = f"{base}/{flavour}"
    number = "6.8.0-64" if flavour.startswith("ga") else "6.14.0-24"
    name = f"{number}-{flavour.partition('-')[2] or 'generic'}"
    initrd = artefacts.initrd(f"{boot}/i", int(_INITRD * scale), version=name)
    kernel = artefacts.kernel(f"{boot}/k", int(_KERNEL * scale), arch=arch, version=name)
    return [
        SampleFile("boot-initrd", f"{boot}/boot-initrd", initrd),
        SampleFile("boot-kernel", f"{boot}/boot-kernel", kernel),
        SampleFile("manifest", f"{base}/squashfs.manifest", _manifest(base)),
        SampleFile("squashfs", f"{base}/squashfs", _squashfs(base, size)),
    ]


@lru_cache(maxsize=2)
def _squashfs(seed: str, size: int) -> bytes:
    return artefacts.squashfs(seed, size)


def _manifest(base: str) -> bytes:
    packages = {f"package-{number:04}": f"1.0-{number}" for number in range(1400)}
    return artefacts.dpkg_manifest({**packages, "base-files": base.replace("/", "-")})
