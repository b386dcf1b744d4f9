from __future__ import annotations

import struct
import subprocess
import tarfile

import pytest
from debian_upstream import ADDED_LATER, ARCHIVES, KERNELS, VERSIONS

from mirror.testing import artefacts
from mirror.testing.sstream import mirrored_files, sstream_mirror

IMAGES = ":boot:"


def test_sstream_mirror_takes_both_versions(debian_upstream, serve, tmp_path):
    debian_upstream.add_version(only=IMAGES)
    debian_upstream.write()
    url = serve(debian_upstream.root).url + "/streams/v1/index.sjson"
    outcome = sstream_mirror(url, tmp_path / "out", keyring=debian_upstream.keyring)
    assert outcome.status == 0, outcome.errors
    files = mirrored_files(tmp_path / "out")
    assert files == debian_upstream.files()
    assert {path.split("/")[2] for path in files if path.startswith("bookworm/")} == set(VERSIONS)


def test_the_versions_differ_by_a_few_packages(debian_cache):
    old, new = (
        set((debian_cache / version / "manifest").read_text().splitlines()) for version in VERSIONS
    )
    assert len(old) > 100
    added = {line.split("\t")[0] for line in new - old}
    assert set(ADDED_LATER) <= added
    assert len(added) < 12
    assert old - new == set()


@pytest.mark.parametrize("subarch", KERNELS)
def test_kernels_and_initrds_are_real(debian_cache, subarch):
    releases = set()
    for version in VERSIONS:
        kernel = (debian_cache / version / f"{subarch}.boot-kernel").read_bytes()
        assert kernel[0x202:0x206] == b"HdrS"
        (pointer,) = struct.unpack_from("<H", kernel, 0x20E)
        releases.add(kernel[pointer + 0x200 :].split(b" ")[0].decode())
        initrd = debian_cache / version / f"{subarch}.boot-initrd"
        archive = subprocess.run(["zstd", "-dc", initrd], capture_output=True, check=True).stdout
        assert archive.startswith(b"070701")
        assert f"usr/lib/modules/{max(releases)}/modules.dep".encode() in archive
    assert len(releases) == 1


def test_a_later_version_has_another_initrd(debian_cache):
    old, new = (debian_cache / version / "ga-12.boot-initrd" for version in VERSIONS)
    assert old.read_bytes() != new.read_bytes()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_squashfs_is_a_whole_system(debian_cache, version):
    image = debian_cache / version / "squashfs"
    assert b"bookworm" in unsquashed(image, "usr/lib/os-release")
    listing = subprocess.run(["unsquashfs", "-ll", image], capture_output=True, check=True).stdout
    assert (b"squashfs-root/usr/bin/less" in listing) == (version == VERSIONS[1])


def test_the_root_tgz_is_a_whole_system(debian_cache):
    with tarfile.open(debian_cache / VERSIONS[0] / "root-tgz") as archive:
        names = set(archive.getnames())
    assert "./etc/os-release" in names
    assert any(name.startswith("./boot/vmlinuz-") for name in names)


def test_bootloaders_hold_what_machines_ask_for_and_the_efi_ones_are_signed(debian_cache):
    for item, (_, members) in ARCHIVES.items():
        with tarfile.open(debian_cache / "bootloaders" / f"{item}.tar.xz") as archive:
            assert archive.getnames() == list(members)
            for name in members:
                if name.endswith(".efi"):
                    assert signature_size(archive.extractfile(name).read()) > 1000


def test_the_squashfs_of_the_kit_is_read_by_unsquashfs(tmp_path):
    image = tmp_path / "squashfs"
    image.write_bytes(artefacts.squashfs("seed", 300_000, release="noble"))
    assert b'VERSION_CODENAME="noble"' in unsquashed(image, "etc/os-release")
    assert unsquashed(image, "usr/lib/filler") == artefacts.noise("seed", 300_000)


def unsquashed(image, name):
    done = subprocess.run(["unsquashfs", "-cat", image, name], capture_output=True, check=True)
    return done.stdout


def signature_size(binary: bytes) -> int:
    """Return the size of a PE32+ binary's certificate table."""
    (at,) = struct.unpack_from("<I", binary, 0x3C)
    assert binary[at : at + 4] == b"PE\0\0"
    directories = at + 24 + 112
    return struct.unpack_from("<II", binary, directories + 4 * 8)[1]
