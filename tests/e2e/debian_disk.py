"""Build a disk with Debian on it, as a person who makes images does: a root, an ESP, a GPT, qcow2.

It needs what `debian_upstream` needs, and `tools()`. What it makes is kept in the cache.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from debian_upstream import debian_source, in_chroot, remove, run

from mirror.testing.tools import tool

BASE = ("initramfs-tools", "systemd-sysv", "linux-image-cloud-amd64")
ADDED = (
    *("cloud-init", "netplan.io", "openssh-server"),
    *("grub-efi-amd64", "grub-efi-amd64-signed", "shim-signed", "efibootmgr"),
    *("iputils-ping", "libcap2-bin"),
)
"""What a machine needs to start; a program with a capability, and one that makes host keys.

Some depend on packages that only have another name, which debootstrap can't follow: apt can.
"""

MIB = 1024**2
ESP_AT, ESP_SIZE = 1 * MIB, 64 * MIB
ROOT_AT = ESP_AT + ESP_SIZE
LABEL = b"system_u:object_r:ssh_home_t:s0\0"
"""As SELinux writes one: Debian's own packages have none."""
ACL = bytes.fromhex(
    "0200000001000600ffffffff02000400d204000004000400ffffffff10000600ffffffff20000000ffffffff"
)
"""The access of a file that one more user, 1234, may read."""

LOADERS = {
    "EFI/BOOT/BOOTX64.EFI": "usr/lib/shim/shimx64.efi.signed",
    "EFI/BOOT/grubx64.efi": "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
    "EFI/debian/shimx64.efi": "usr/lib/shim/shimx64.efi.signed",
    "EFI/debian/grubx64.efi": "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
}
"""File of the ESP -> where its package has it."""

FSTAB = "LABEL=root / ext4 defaults 0 1\nLABEL=ESP /boot/efi vfat defaults 0 2\n"
HOOKS = '#!/usr/bin/python3\n"""All is in the image already."""\n'


@dataclass(frozen=True)
class DebianDisk:
    """The disk, and what it was made of: the archive that GNU tar made of its root."""

    folder: Path

    @property
    def qcow2(self) -> Path:
        return self.folder / "disk.qcow2"

    @property
    def tar(self) -> Path:
        return self.folder / "root.tar"

    @property
    def esp(self) -> Path:
        """The tree that was copied into the ESP."""
        return self.folder / "esp"


def build_disk(cache: Path) -> DebianDisk:
    """Return the disk of the cache, made if there is none."""
    done = cache / "disk"
    if not done.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        work, out = cache / "disk.work", cache / "disk.new"
        for each in (work, out):
            remove(each)
            each.mkdir()
        _root(work / "root")
        _esp(work / "root", out / "esp")
        pack(work / "root", out / "root.tar")
        disk = _disk(work, out / "esp")
        # as clouds hand it out: with every cluster compressed
        how = ("-c", "-f", "raw", "-O", "qcow2")
        run(tool("qemu-img"), "convert", *how, disk, out / "disk.qcow2")
        remove(work)
        out.rename(done)
    return DebianDisk(done)


def pack(tree: Path, made: Path) -> Path:
    """Have GNU tar write all that it knows of a tree."""
    keep = ("--xattrs", "--acls", "--selinux", "--numeric-owner", "--format=posix", "--sort=name")
    run("tar", *keep, "--one-file-system", "-C", tree, "-cf", made, ".")
    return made


def _root(root: Path) -> None:
    site, codename = debian_source() or ("", "")
    run("debootstrap", "--variant=minbase", f"--include={','.join(BASE)}", codename, root, site)
    policy = root / "usr/sbin/policy-rc.d"  # nothing is to run but this machine's own services
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    in_chroot(root, "apt-get", "update")
    in_chroot(root, "apt-get", "install", "--yes", "--no-install-recommends", *ADDED)
    in_chroot(root, "apt-get", "clean")
    policy.unlink()
    for name in ("var/lib/apt/lists", "var/cache/apt"):
        remove(root / name)
        (root / name).mkdir()
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in ("etc/machine-id", "etc/resolv.conf", "etc/hostname"):
        (root / name).write_text("")
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (root / "etc/fstab").write_text(FSTAB)
    (root / "boot/efi").mkdir(exist_ok=True)
    (root / "curtin").mkdir()
    (root / "curtin/curtin-hooks").write_text(HOOKS)
    (root / "curtin/curtin-hooks").chmod(0o755)
    os.setxattr(root / "etc/ssh/sshd_config", "security.selinux", LABEL)
    os.setxattr(root / "etc/ssh/sshd_config", "system.posix_acl_access", ACL)
    os.setxattr(root / "home", "system.posix_acl_default", ACL)


def _esp(root: Path, esp: Path) -> None:
    """Collect what `grub-install` would put there."""
    for name, source in LOADERS.items():
        (esp / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / source, esp / name)
    config = "search --label root --set=root\nconfigfile /boot/grub/grub.cfg\n"
    (esp / "EFI/debian/grub.cfg").write_text(config)


def _disk(work: Path, esp: Path) -> Path:
    """Put both file systems on one raw disk."""
    fat, ext4, disk = (work / name for name in ("esp.img", "root.img", "disk.img"))
    run("truncate", f"--size={ESP_SIZE}", fat)
    run(tool("mkfs.vfat"), "-n", "ESP", fat)
    run(tool("mcopy"), "-s", "-i", fat, esp / "EFI", "::")
    used = int(run("du", "--summarize", "--block-size=1M", work / "root").split()[0])
    how = ("-q", "-t", "ext4", "-L", "root", "-d", work / "root")
    run(tool("mke2fs"), *how, ext4, f"{used * 3 // 2}M")
    root_size = ext4.stat().st_size
    run("truncate", f"--size={ROOT_AT + root_size + MIB}", disk)
    for part, at in ((fat, ESP_AT), (ext4, ROOT_AT)):
        run(
            *("dd", f"if={part}", f"of={disk}", "bs=1M", f"seek={at // MIB}"),
            *("conv=sparse,notrunc", "status=none"),
        )
    run(
        *(tool("sgdisk"), f"--new=1:{ESP_AT // 512}:+64M", "--typecode=1:EF00"),
        *(f"--new=2:{ROOT_AT // 512}:+{root_size // 1024}K", "--typecode=2:8300", disk),
    )
    return disk
