"""Sample root file systems are honest: GNU tar unpacks them, and what should be there is real."""

from __future__ import annotations

import subprocess
import time

import pytest

from mirror.formats import elf_arch, read_initrd, read_kernel
from mirror.testing import artefacts
from mirror.testing.root_tarballs import CENTOS, kernel_version, root_members, root_tarball


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
@pytest.mark.parametrize("release", CENTOS)
def test_one_that_is_unpacked(tmp_path, release, arch):
    members = root_members("seed", 64_000, release=release, arch=arch)
    del members["dev/null"]  # a device takes root
    data = root_tarball(members, prefix="./")
    root = tmp_path / "root"
    root.mkdir()
    command = ["tar", "-C", root, "--numeric-owner", "--no-same-owner", "-xzpf", "-"]
    subprocess.run(command, input=data, check=True)
    version = kernel_version(release, arch)
    kernel = read_kernel(root / f"boot/vmlinuz-{version}")
    assert (kernel.arch, kernel.version) == (arch, version)
    assert version in read_initrd(root / f"boot/initramfs-{version}.img").kernels
    assert (root / "lib/modules" / version / "modules.dep").exists()
    assert elf_arch((root / "bin/bash").read_bytes()[:64]) == arch
    assert (root / "etc/redhat-release").read_text() == CENTOS[release].line + "\n"
    assert (root / "etc/os-release").exists() == (release != "6")


def test_the_version_of_a_product_will_do():
    assert artefacts.root_tgz("s", 20_000, version="7.0") == root_tarball(
        root_members("s", 20_000, release="7")
    )


def test_it_is_made_within_milliseconds():
    """Hundreds of tests make one."""
    started = time.process_time()
    for number in range(10):
        artefacts.root_tgz(str(number), 64 << 10)
    assert time.process_time() - started < 0.2
