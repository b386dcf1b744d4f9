"""The suite that any distribution should pass, on this plugin's two."""

from __future__ import annotations

from ubuntu_samples import GA, HWE, members, tar_xz

from mirror.testing import BadSample, DistributionConformance, Sample, artefacts, spoil
from mirror.testing.sample_products import (
    bootloader_product,
    bootloader_products,
    ubuntu_products,
)

GA_AMD64, GA_ARM64 = "24.04:amd64:ga-24.04", "24.04:arm64:ga-24.04"
SHIM = artefacts.bootloader("bad", 20_000, arch="amd64", package="shim-signed")
ARM_SHIM = artefacts.bootloader("bad", 20_000, arch="arm64", package="shim-signed")
SHIM_FILES = members(SHIM)


class TestUbuntu(DistributionConformance):
    sample = Sample(
        plugin="ubuntu",
        distribution="ubuntu",
        products=ubuntu_products(),
        text_items=("manifest",),
        settings={"warn_days": 30},
        bad=[
            BadSample(
                "a kernel of another architecture",
                {"boot-kernel": artefacts.kernel("bad", 9000, arch="arm64", version=GA)},
                "ubuntu-kernel-arch",
                GA_AMD64,
            ),
            BadSample(
                "the initrd of another kernel",
                {"boot-initrd": artefacts.initrd("bad", 9000, version=HWE)},
                "ubuntu-initrd-kernel",
                GA_ARM64,
            ),
            BadSample(
                "a kernel of another flavour",
                {"boot-kernel": artefacts.kernel("bad", 9000, version="6.8.0-64-lowlatency")},
                "ubuntu-kernel-flavour",
                GA_AMD64,
            ),
            BadSample(
                "a manifest in another encoding",
                {"manifest": spoil.utf16("base-files\t13ubuntu10.2\n")},
                "ubuntu-manifest",
            ),
        ],
    )


class TestBootloaders(DistributionConformance):
    sample = Sample(
        plugin="ubuntu",
        distribution="bootloaders",
        products=[
            *bootloader_products(),
            # one that the real stream has, and that MAAS ignores
            bootloader_product("pxelinux", "pxe", "amd64", "amd64, i386", {"syslinux": "3:6.04"}),
        ],
        bad=[
            BadSample(
                "an archive that climbs",
                {"shim-signed": spoil.tar_with(SHIM_FILES, "../evil")},
                "bootloaders-member-unsafe",
            ),
            BadSample(
                "an archive with a device",
                {"shim-signed": spoil.tar_with(SHIM_FILES, "sda", "device")},
                "bootloaders-member-unsafe",
            ),
            BadSample(
                "an archive with a link to the root",
                {"shim-signed": spoil.tar_with(SHIM_FILES, "x", "symlink", target="/etc/shadow")},
                "bootloaders-member-unsafe",
            ),
            BadSample(
                "a binary of another architecture",
                {"shim-signed": tar_xz({"bootx64.efi": members(ARM_SHIM)["bootaa64.efi"]})},
                "bootloaders-member-arch",
                "uefi:amd64",
            ),
            BadSample(
                "an unsigned binary",
                {"shim-signed": tar_xz({"bootx64.efi": artefacts.efi_binary("bad", 9000)})},
                "bootloaders-unsigned",
                "uefi:amd64",
            ),
        ],
    )
