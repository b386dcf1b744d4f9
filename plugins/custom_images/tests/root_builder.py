"""Root file systems of several distributions, as trees in memory, good and with one fault each."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mirror.api import Item, Product, Severity, Version
from mirror.images.declaration import Declaration, product_of
from mirror.testing import artefacts, kernels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mirror.api import Finding

MTIME = 1_700_000_000
LABEL = "system_u:object_r:etc_t:s0"
_TYPES = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
}
_SUFFIX = {"amd64": "x64", "arm64": "aa64"}


@dataclass(frozen=True)
class Node:
    kind: str = "file"
    content: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[str, str] = field(default_factory=dict)


Tree = dict[str, Node]


def text(content: str, mode: int = 0o644, **more) -> Node:
    return Node(content=content.encode(), mode=mode, **more)


def program(arch: str = "amd64", mode: int = 0o755) -> Node:
    return Node(content=kernels.elf(arch, b"\x90" * 16), mode=mode)


def folder(**more) -> Node:
    return Node("dir", mode=0o755, **more)


def link(target: str) -> Node:
    return Node("symlink", target=target, mode=0o777)


def hard_link(target: str) -> Node:
    return Node("hardlink", target=target)


RHEL_KERNEL = "5.14.0-427.el9.x86_64"
DEBIAN_KERNEL = "6.1.0-18-amd64"


def common(arch: str = "amd64") -> Tree:
    """Return what every system has; /usr is merged, and the links come last of all."""
    return {
        ".": folder(),
        **{
            name: folder()
            for name in ("boot", "boot/efi", "dev", "etc", "etc/ssh", "root", "usr", "usr/bin")
        },
        "etc/machine-id": text(""),
        "etc/fstab": text("# nothing\n"),
        "etc/shadow": text("root:!locked:19000::::::\nbin:*:19000::::::\n", 0o640),
        "usr/bin/bash": program(arch),
        "usr/bin/cat": program(arch),
        "usr/bin/su": program(arch, 0o4755),
        "usr/bin/sudo": program(arch, 0o4755),
        "usr/bin/cloud-init": text("#!/usr/bin/python3\n", 0o755),
        "usr/sbin/efibootmgr": program(arch),
        "bin": link("usr/bin"),
        "sbin": link("usr/sbin"),
        "lib": link("usr/lib"),
    }


def python(folder_name: str) -> Tree:
    return {
        f"{folder_name}/cloudinit/__init__.py": text(""),
        f"{folder_name}/cloudinit/sources/DataSourceNoCloud.py": text(""),
        f"{folder_name}/cloudinit/sources/DataSourceMAAS.py": text(""),
        f"{folder_name}/oauthlib/__init__.py": text(""),
    }


def rhel(
    arch: str = "amd64", *, os_id: str = "rhel", version: str = "9.4", kernel: str = RHEL_KERNEL
) -> Tree:
    """Return an Enterprise Linux, good in every way; its packages are listed nowhere."""
    like = "" if os_id == "rhel" else "rhel "
    release = f'NAME="Enterprise Linux"\nID="{os_id}"\nID_LIKE="{like}fedora"\n'
    suffix = _SUFFIX[arch]
    return common(arch) | {
        "etc/os-release": link("../usr/lib/os-release"),
        "usr/lib/os-release": text(f'{release}VERSION_ID="{version}"\n'),
        "usr/bin/sh": link("bash"),
        "usr/sbin/grub2-install": program(arch),
        "usr/lib/grub/i386-pc/normal.mod": text("x"),
        f"boot/efi/EFI/redhat/shim{suffix}.efi": Node(content=b"MZ"),
        f"boot/efi/EFI/redhat/grub{suffix}.efi": Node(content=b"MZ"),
        **python("usr/lib/python3.9/site-packages"),
        **kernel_files(arch, kernel, f"initramfs-{kernel}.img"),
    }


def debian(arch: str = "amd64", *, os_id: str = "debian", codename: str = "bookworm") -> Tree:
    """Return a Debian, good in every way, with two packages."""
    release = f'ID={os_id}\nVERSION_ID="12"\nVERSION_CODENAME={codename}\n'
    status = (
        "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-1\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n"
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\n"
        "Multi-Arch: same\nVersion: 2.36-9\n"
    )
    return common(arch) | {
        "etc/os-release": link("../usr/lib/os-release"),
        "usr/lib/os-release": text(release),
        "usr/bin/sh": link("dash"),
        "usr/bin/dash": program(arch),
        "usr/sbin/grub-install": program(arch),
        "usr/lib/grub/i386-pc/normal.mod": text("x"),
        "var/lib/dpkg/status": text(status),
        **python("usr/lib/python3/dist-packages"),
        **kernel_files(arch, DEBIAN_KERNEL, f"initrd.img-{DEBIAN_KERNEL}"),
    }


def kernel_files(arch: str, kernel: str, initramfs: str) -> Tree:
    return {
        f"boot/vmlinuz-{kernel}": Node(
            content=artefacts.kernel("kernel", 8192, arch=arch, version=kernel)
        ),
        f"boot/{initramfs}": Node(
            content=artefacts.initrd("initrd", 4096, version=kernel, compression="gzip")
        ),
        f"usr/lib/modules/{kernel}/modules.dep": text("kernel/fs/xfs/xfs.ko:\n"),
        f"usr/lib/modules/{kernel}/kernel/fs/xfs/xfs.ko": Node(content=kernels.elf(arch, b"xfs")),
    }


def tar(tree: Tree, *, prefix: str = "", form: int = tarfile.PAX_FORMAT) -> bytes:
    """Pack a tree in its order with Python's tarfile."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for path, node in tree.items():
            archive.addfile(member(prefix + path, node), io.BytesIO(node.content))
    return out.getvalue()


def member(path: str, node: Node) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.mode, info.linkname = _TYPES[node.kind], node.mode, node.target
    info.uid, info.gid, info.mtime, info.size = node.uid, node.gid, MTIME, len(node.content)
    info.devmajor, info.devminor = node.device
    info.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in node.xattrs.items()}
    return info


def tgz(tree: Tree, **how) -> bytes:
    return kernels.packed(tar(tree, **how), "gzip")


# --- what is changed in one that is good ----------------------------------------------------------

Change = "Callable[[Tree], Tree]"


def plus(**nodes: Node) -> Callable[[Tree], Tree]:
    return lambda tree: tree | nodes


def put(path: str, node: Node | str) -> Callable[[Tree], Tree]:
    """Put something at a path, in place of what is there, and at the end otherwise."""
    return lambda tree: tree | {path: text(node) if isinstance(node, str) else node}


def without(*parts: str) -> Callable[[Tree], Tree]:
    """Leave out whatever has one of these in its path."""
    return lambda tree: {
        path: node for path, node in tree.items() if not any(part in path for part in parts)
    }


def remade(path: str, **fields: object) -> Callable[[Tree], Tree]:
    return lambda tree: tree | {path: replace(tree[path], **fields)}


def labelled(tree: Tree) -> Tree:
    label = {"security.selinux": LABEL}
    return {path: replace(node, xattrs={**node.xattrs, **label}) for path, node in tree.items()}


# --- what is asked of the plugin ------------------------------------------------------------------


def product(name: str = "rhel/9", **more) -> Product:
    os, _, release = name.partition("/")
    return product_of(Declaration(os=os, release=release, **more))


def version_of(data: bytes, ftype: str = "root-tgz") -> tuple[Version, Item]:
    digest = hashlib.sha256(data).hexdigest()
    item = Item(ftype, ftype, f"custom/x/20260101/{ftype}", digest, len(data))
    return Version("20260101", (item,)), item


def check(
    data: bytes, where: Path, name: str = "rhel/9", ftype: str = "root-tgz", **more
) -> list[Finding]:
    """Return what the check finds in a tarball."""
    from mirror_custom_images.checks import root_tarball

    file = where / "image"
    file.write_bytes(data)
    version, item = version_of(data, ftype)
    return list(root_tarball.check(product(name, **more), version, item, file))


def codes(findings: list[Finding]) -> set[tuple[str, str]]:
    """Return what was found, as (severity, code without the id of the distribution)."""
    return {(each.severity.value, each.code.removeprefix("custom-images-")) for each in findings}


def errors(findings: list[Finding]) -> list[str]:
    return [each.message for each in findings if each.severity is Severity.ERROR]
