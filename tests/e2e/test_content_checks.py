"""The ubuntu plugin looks into real kernels, initrds, squashfs images and signed bootloaders."""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import struct
import subprocess
import tarfile
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from debian_products import debian_products
from debian_upstream import KERNELS, VERSIONS

from mirror.model import Item, Product, Version
from mirror.plugin_manager import load_plugins
from mirror.testing import artefacts

if TYPE_CHECKING:
    from pathlib import Path

GA, HWE = KERNELS
SHIM, GRUB, SYSLINUX = "shim-signed", "grub2-signed", "syslinux"
EFI, PXE = "uefi:amd64", "pxe:i386"


@dataclass
class Real:
    """What was built, looked at as a version of a product; `findings` may swap files."""

    cache: Path
    folder: Path

    def __post_init__(self) -> None:
        plugins = load_plugins(strict=True)
        self.distributions = {each.id: each for each in plugins.distributions}

    def image(self, subarch: str, version: str = VERSIONS[0], **swapped: Path) -> list[str]:
        """Return what is found in an image; a file is swapped by `boot_kernel=...`."""
        built = self.cache / version
        files = {
            "boot-initrd": built / f"{subarch}.boot-initrd",
            "boot-kernel": built / f"{subarch}.boot-kernel",
            "manifest": built / "manifest",
            "squashfs": built / "squashfs",
        }
        files |= {name.replace("_", "-"): file for name, file in swapped.items()}
        return self._look(f":boot:12:amd64:{subarch}", "ubuntu", version, files)

    def loader(self, product: str, **swapped: Path) -> list[str]:
        """Return what is found in a bootloader; a file is swapped by `shim_signed=...`."""
        names = (SHIM, GRUB) if product == EFI else (SYSLINUX,)
        files = {name: self.archive(name) for name in names}
        files |= {name.replace("_", "-"): file for name, file in swapped.items()}
        return self._look(product, "bootloaders", VERSIONS[0], files)

    def archive(self, name: str) -> Path:
        return self.cache / "bootloaders" / f"{name}.tar.xz"

    def put(self, data: bytes) -> Path:
        """Write a file that no other has the name of."""
        file = self.folder / f"blob{len(list(self.folder.iterdir()))}"
        file.write_bytes(data)
        return file

    def _look(
        self, product: str, distribution: str, version: str, files: dict[str, Path]
    ) -> list[str]:
        sample = next(each for each in debian_products(self.cache) if product in each.name)
        kpackage = KERNELS.get(sample.attributes.get("subarch", ""), "")
        items = tuple(
            Item(name, name, f"somewhere/{name}", "0" * 64, 1, {"kpackage": kpackage})
            for name in files
        )
        made = Version(version, items)
        of = Product(sample.name, sample.content_id, sample.attributes, (made,))
        distribution = self.distributions[distribution]
        assert distribution.claims(of)
        return [f"{each.severity} {each.code}" for each in distribution.validate(of, made, files)]


@pytest.fixture
def real(debian_cache, tmp_path):
    return Real(debian_cache, tmp_path)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("subarch", KERNELS)
def test_real_images_pass(real, version, subarch):
    assert real.image(subarch, version) == []


def test_real_bootloaders_pass(real):
    assert real.loader(EFI) == []
    assert real.loader(PXE) == []


@pytest.mark.parametrize(("one", "other"), [(GA, HWE), (HWE, GA)])
def test_the_kernel_of_the_other_image(real, one, other):
    kernel = real.cache / VERSIONS[0] / f"{other}.boot-kernel"
    assert real.image(one, boot_kernel=kernel) == [
        "error ubuntu-kernel-flavour",
        "error ubuntu-initrd-kernel",
    ]


@pytest.mark.parametrize(("one", "other"), [(GA, HWE), (HWE, GA)])
def test_the_initrd_of_the_other_image(real, one, other):
    initrd = real.cache / VERSIONS[0] / f"{other}.boot-initrd"
    assert real.image(one, boot_initrd=initrd) == ["error ubuntu-initrd-kernel"]


def test_every_file_in_place_of_every_other(real):
    built = real.cache / VERSIONS[0]
    files = {
        "boot-initrd": built / f"{GA}.boot-initrd",
        "boot-kernel": built / f"{GA}.boot-kernel",
        "manifest": built / "manifest",
        "squashfs": built / "squashfs",
        "root-tgz": built / "root-tgz",
        **{name: real.archive(name) for name in (SHIM, GRUB, SYSLINUX)},
    }
    for item in ("boot-initrd", "boot-kernel", "manifest", "squashfs"):
        for other, file in files.items():
            if other != item:
                found = real.image(GA, **{item.replace("-", "_"): file})
                assert found == [f"error ubuntu-{item}"], f"the {other} as the {item}"
    for product, items in ((EFI, (SHIM, GRUB)), (PXE, (SYSLINUX,))):
        for item in items:
            for other, file in files.items():
                if other not in {item, "root-tgz"}:
                    found = real.loader(product, **{item.replace("-", "_"): file})
                    assert any(each.startswith("error ") for each in found), f"{other} as {item}"


@pytest.mark.parametrize("item", ["boot-initrd", "boot-kernel", "squashfs"])
def test_a_real_file_that_was_cut(real, item):
    name = item if item == "squashfs" else f"{HWE}.{item}"
    data = (real.cache / VERSIONS[0] / name).read_bytes()
    for length in (100, len(data) // 2, len(data) - 5000):
        found = real.image(HWE, **{item.replace("-", "_"): real.put(data[:length])})
        assert found == [f"error ubuntu-{item}"], length


def test_a_real_initrd_with_a_damaged_byte(real):
    data = bytearray((real.cache / VERSIONS[0] / f"{GA}.boot-initrd").read_bytes())
    data[len(data) // 2] ^= 0xFF
    assert real.image(GA, boot_initrd=real.put(bytes(data))) == ["error ubuntu-boot-initrd"]


def test_an_efi_binary_in_place_of_the_kernel(real):
    shim = real.put(member(real.archive(SHIM), "bootx64.efi"))
    assert real.image(GA, boot_kernel=shim) == ["error ubuntu-boot-kernel"]


def test_a_real_grub_without_its_signature(real):
    grub = unsigned(member(real.archive(GRUB), "grubx64.efi"))
    archive = real.put(lzma.compress(artefacts.tar({"grubx64.efi": grub}), preset=0))
    assert real.loader(EFI, grub2_signed=archive) == ["error bootloaders-unsigned"]


def test_a_real_kernel_in_place_of_grub_is_signed_and_for_amd64(real):
    # It is an EFI application that somebody has signed: no more can be seen.
    kernel = (real.cache / VERSIONS[0] / f"{HWE}.boot-kernel").read_bytes()
    archive = real.put(lzma.compress(artefacts.tar({"grubx64.efi": kernel}), preset=0))
    assert real.loader(EFI, grub2_signed=archive) == []


def test_a_real_root_image(real):
    image = real.folder / "image"
    program = shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin")
    assert program, "this test needs mke2fs"
    subprocess.run([program, "-q", "-t", "ext4", image, "16M"], check=True)
    data = image.read_bytes()
    whole, half = (real.put(gzip.compress(each, 1)) for each in (data, data[: len(data) // 2]))
    assert real.image(GA, **{"root-image.gz": whole}) == []
    assert real.image(GA, **{"root-image.gz": half}) == ["error ubuntu-root-image"]
    cut = real.put(whole.read_bytes()[:-10])
    assert real.image(GA, **{"root-image.gz": cut}) == ["error ubuntu-root-image"]


def test_a_sync_publishes_what_is_good_and_leaves_out_what_was_swapped(mut, debian_upstream, serve):
    ga, hwe = (f"com.ubuntu.maas.stable:v3:boot:12:amd64:{each}" for each in KERNELS)

    def swap(document):
        kernel = document["products"][hwe]["versions"][VERSIONS[0]]["items"]["boot-kernel"]
        items = document["products"][ga]["versions"][VERSIONS[0]]["items"]
        items["boot-kernel"] = {**kernel, "kpackage": items["boot-kernel"]["kpackage"]}

    debian_upstream.edit_products(swap)
    debian_upstream.write()
    mut.add_source(debian_upstream, serve(debian_upstream.root).url)
    mut.select("os=ubuntu")
    result = mut.sync_now()
    assert [each.code for each in result.left_out] == ["MIR-603"]
    assert "ubuntu-kernel-flavour" in result.left_out[0].what
    published = {product for product, _ in mut.versions()}
    assert "v3:boot:12:amd64:hwe-12" in published
    assert "v3:boot:12:amd64:ga-12" not in published
    assert any("grub-efi-signed" in product for product in published)
    debian_upstream.mend()
    debian_upstream.set_updated(debian_upstream.updated + timedelta(minutes=1))
    debian_upstream.write()
    assert mut.sync_now().left_out == ()
    assert "v3:boot:12:amd64:ga-12" in {product for product, _ in mut.versions()}


def member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as opened:
        return opened.extractfile(name).read()


def unsigned(binary: bytes) -> bytes:
    """Return a PE32+ binary without its certificate table."""
    (at,) = struct.unpack_from("<I", binary, 0x3C)
    entry = at + 24 + 112 + 4 * 8
    table, _ = struct.unpack_from("<II", binary, entry)
    out = io.BytesIO(binary[:table])
    out.seek(entry)
    out.write(bytes(8))
    return out.getvalue()
