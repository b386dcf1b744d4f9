"""Programs that tests compare with, or make images with: what Debian has a package for.

Run as a program, it prints each with its package.
"""

from __future__ import annotations

import os
import shutil

REQUIRED = "MIRROR_REQUIRE_TOOLS"
"""Set by CI, which has installed them: a missing one is then a failure."""

PACKAGES = {
    "bsdtar": "libarchive-tools",
    "debugfs": "e2fsprogs",
    "fdisk": "fdisk",
    "fsck.vfat": "dosfstools",
    "hivexsh": "libhivex-bin",
    "mcopy": "mtools",
    "mdel": "mtools",
    "mdir": "mtools",
    "mke2fs": "e2fsprogs",
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.vfat": "dosfstools",
    "mkfs.xfs": "xfsprogs",
    "mkswap": "util-linux",
    "mkntfs": "ntfs-3g",
    "mksquashfs": "squashfs-tools",
    "mtype": "mtools",
    "ntfscp": "ntfs-3g",
    "ntfsfix": "ntfs-3g",
    "ntfsls": "ntfs-3g",
    "pvck": "lvm2",
    "qemu-img": "qemu-utils",
    "qemu-io": "qemu-utils",
    "db_load": "db-util",
    "dpkg-query": "dpkg",
    "rpm": "rpm",
    "rpmbuild": "rpm",
    "setfattr": "attr",
    "sgdisk": "gdisk",
    "sfdisk": "fdisk",
    "wimlib-imagex": "wimtools",
    "xorriso": "xorriso",
    "xfs_db": "xfsprogs",
    "xz": "xz-utils",
    "bzip2": "bzip2",
    "zstd": "zstd",
}
"""The Debian package that each comes from."""


def tool(name: str) -> str:
    """Return the path of a program; without it, the test is skipped, or fails where CI says so."""
    path = os.environ.get("PATH", "")
    found = shutil.which(name, path=f"{path}:/usr/sbin:/sbin")
    if found is not None:
        return found
    import pytest

    missing = f"{name} is not installed: apt-get install {PACKAGES.get(name, name)}"
    if os.environ.get(REQUIRED):
        raise pytest.fail.Exception(missing)
    raise pytest.skip.Exception(missing)


if __name__ == "__main__":
    import sys

    sys.stdout.writelines(f"{name} {package}\n" for name, package in PACKAGES.items())
