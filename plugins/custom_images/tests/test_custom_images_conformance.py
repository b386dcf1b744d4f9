"""The suite that any distribution should pass, on the operator's own images."""

from __future__ import annotations

import bz2
import tempfile
from pathlib import Path

from disk_builder import ESP, MIB, Slice, fat, gpt, plant
from root_builder import Node, put, rhel, tar, tgz, without

from mirror.api import CUSTOM_CONTENT_ID
from mirror.images.declaration import Declaration, product_name, product_of
from mirror.testing import BadSample, BuildSample, DistributionConformance, Sample, artefacts
from mirror.testing.sample_products import SampleFile, SampleProduct, day

MANIFEST = b"bash\t5.1.8-9.el9\nkernel\t5.14.0-427.el9\n"

LOADERS = {
    f"boot/efi/EFI/BOOT/{name}": Node(content=b"MZ")
    for name in ("BOOTX64.EFI", "grubx64.efi", "BOOTAA64.EFI", "grubaa64.efi")
}


def image(name: str, arch: str, *, manifest: bool) -> SampleProduct:
    """Return an image of which another mirror offers the manifest, too, or not."""
    os, _, release = name.partition("/")
    declared = Declaration(os=os, release=release, arch=arch, title=f"{name} for {arch}")

    def files(version: str, size: int) -> list[SampleFile]:
        base = f"custom/{os}/{release}/{arch}/{version}"
        noise = Node(content=artefacts.noise(base, size))
        root = tgz(rhel(arch, os_id=os) | LOADERS | {"usr/share/noise": noise})
        root_tgz = SampleFile("root-tgz", f"{base}/root.tgz", root)
        listed = SampleFile("manifest", f"{base}/manifest", MANIFEST)
        return [listed, root_tgz] if manifest else [root_tgz]

    about = product_of(declared).attributes
    return SampleProduct(product_name(declared), CUSTOM_CONTENT_ID, about, day, files)


def disk() -> bytes:
    """Return a disk with nothing but an ESP, that has a loader and hooks in it."""
    loader = artefacts.efi_binary("loader", 9000, signed=True)
    hooks = "#!/usr/bin/python3\n"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {"EFI/BOOT/BOOTX64.EFI": loader, "curtin/curtin-hooks": hooks}
        esp = fat(folder / "esp", plant(folder / "tree", files), 2 * MIB)
        return gpt(folder / "disk", [Slice(esp, ESP)]).read_bytes()


def bad(name: str, code: str, tree) -> BadSample:
    return BadSample(name, {"root-tgz": tgz(tree)}, f"custom-images-{code}", ":rhel:")


class TestCustomImages(DistributionConformance):
    sample = Sample(
        plugin="custom_images",
        distribution="custom-images",
        products=[
            image("rhel/9", "amd64", manifest=False),
            image("rhel/9", "arm64", manifest=True),
        ],
        bad=[
            bad("another system", "other-release", rhel(version="8.10")),
            bad("another architecture", "kernel-arch", rhel("arm64")),
            bad("no kernel", "no-kernel", without("boot/vmlinuz", "modules")(rhel())),
            bad("a member that climbs", "climbs", put("../x", "out")(rhel())),
            bad("a disk", "wrong-type", {"disk.img": Node(content=disk())}),
        ],
        text_items=("manifest",),
        builds=[
            BuildSample(name="a tar.bz2", data=bz2.compress(tar(rhel())), makes="root-tgz"),
            BuildSample(name="a disk", data=disk(), ftype="root-dd.gz", makes="root-dd.gz"),
        ],
    )
