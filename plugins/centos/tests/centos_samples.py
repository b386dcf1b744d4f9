"""Root tarballs and manifests of CentOS, good and bad: each bad one is bad in one way only."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirror.testing import artefacts, kernels, spoil
from mirror.testing.root_tarballs import (
    CENTOS,
    Entry,
    device,
    file,
    folder,
    hard_link,
    kernel_version,
    link,
    program,
    root_members,
    root_tarball,
    rpms,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[dict[str, Entry]], object]

SIZE = 24_000
KERNEL = kernel_version("8")
VMLINUZ, INITRAMFS = f"boot/vmlinuz-{KERNEL}", f"boot/initramfs-{KERNEL}.img"
MODULES = f"usr/lib/modules/{KERNEL}"


@dataclass(frozen=True)
class Case:
    """A version of CentOS 8 for amd64 in which `code` must be found, as an error or not."""

    name: str
    code: str
    error: bool = True
    files: dict[str, bytes] = field(default_factory=dict)


def members(release: str = "8", arch: str = "amd64") -> dict[str, Entry]:
    return root_members("centos", SIZE, release=release, arch=arch)


def good(release: str = "8", arch: str = "amd64") -> dict[str, bytes]:
    """Return the files of a good version, by item name."""
    return {
        "manifest": artefacts.rpm_manifest(rpms(release, arch)),
        "root-tgz": root_tarball(members(release, arch), prefix="./"),
    }


def changed(change: Change, release: str = "8") -> bytes:
    """Return a root tarball of which the members were changed."""
    those = members(release)
    change(those)
    return root_tarball(those)


def without(*parts: str) -> Change:
    def change(those: dict[str, Entry]) -> None:
        for name in [each for each in those if any(part in each for part in parts)]:
            del those[name]

    return change


def with_(**more: Entry) -> Change:
    return lambda those: those.update(more)


def plus(name: str, entry: Entry) -> Change:
    """Add a member; a name that is there already comes once more, at the end."""
    return lambda those: those.update({name: entry})


def os_release(text: str) -> Change:
    return plus("usr/lib/os-release", file(text.encode()))


def twice(first: str, then: Entry) -> bytes:
    """Return a tarball with a member more, whose name is there already."""
    plain = gzip.decompress(root_tarball(members())).rstrip(b"\0")
    plain += bytes(-len(plain) % 512)
    return gzip.compress(plain + gzip.decompress(root_tarball({first: then})), 1)


def below(those: dict[str, Entry], where: str) -> bytes:
    return root_tarball(those, prefix=where)


def _roots() -> dict[str, tuple[str, bytes]]:
    """Return root tarballs that must be refused: what they are -> (code, tarball)."""
    disk = bytes(510) + b"\x55\xaa" + b"EFI PART" + bytes(4096)
    arm = kernels.arm64_image(KERNEL, b"x" * 600)
    return {
        "a web page": ("root-tgz", spoil.web_page()),
        "zeros": ("root-tgz", spoil.zeros(4096)),
        "nothing": ("root-tgz", spoil.empty()),
        "cut in half": ("root-tgz", spoil.cut(good()["root-tgz"])),
        "cut at its last byte": ("root-tgz", good()["root-tgz"][:-1]),
        "damaged": ("root-tgz", good()["root-tgz"][:20_000] + b"x" + good()["root-tgz"][20_001:]),
        "a gzip bomb": ("root-tgz", spoil.gzip_bomb(1 << 30)),
        "a bomb behind a good archive": (
            "root-tgz",
            good()["root-tgz"] + spoil.gzip_bomb(1 << 30),
        ),
        "two archives": ("root-tgz", good()["root-tgz"] * 2),
        "gzip of no archive": ("root-tgz", gzip.compress(b"hello\n" * 1000)),
        "a disk image": ("root-tgz", gzip.compress(disk)),
        "a disk image in a tar": ("layout", root_tarball({"disk.raw": file(disk)})),
        "a container image": (
            "layout",
            root_tarball({"oci-layout": file(b"{}"), "blobs": folder()}),
        ),
        "everything in one directory": ("layout", below(members(), "rootfs/")),
        "no root file system": ("layout", root_tarball({"README": file(b"hello")})),
        "an archive of nothing": ("layout", root_tarball({})),
        "a member that climbs": ("climbs", changed(plus("usr/../../x", file(b"")))),
        "an absolute member": ("climbs", changed(plus("/etc/cron.d/x", file(b"")))),
        "a hard link to outside": ("climbs", changed(plus("etc/x", hard_link("../etc/shadow")))),
        "a member below a link to outside": (
            "below-link",
            changed(with_(**{"out": link("/root"), "out/x": file(b"")})),
        ),
        "a member below a link that climbs": (
            "below-link",
            changed(with_(**{"tmp/out": link("../../x"), "tmp/out/a/b": file(b"")})),
        ),
        "a file in place of a directory": ("twice", twice("usr/lib", link("../../etc"))),
        "no release": ("release", changed(without("-release"))),
        "Debian": ("release", changed(os_release('ID=debian\nVERSION_ID="12"\n'))),
        "Rocky": ("release", changed(os_release('ID="rocky"\nVERSION_ID="8.5"\n'))),
        "CentOS 7": ("release", root_tarball(members("7"))),
        "CentOS 6": ("release", root_tarball(members("6"))),
        "programs of another architecture": (
            "arch",
            changed(lambda those: _programs(those, "arm64")),
        ),
        "all of another architecture": ("kernel", root_tarball(members(arch="arm64"))),
        "no kernel": ("no-kernel", changed(without("vmlinuz"))),
        "no modules": ("no-kernel", changed(without("modules"))),
        "a directory of modules, empty": (
            "no-kernel",
            changed(lambda those: (without("modules")(those), plus(MODULES, folder())(those))),
        ),
        "no initramfs and no dracut": ("no-kernel", changed(without("initramfs"))),
        "modules of another version": (
            "no-kernel",
            changed(lambda those: _renamed(those, MODULES, "usr/lib/modules/4.18.0-1.el8.x86_64")),
        ),
        "a kernel that is a web page": (
            "kernel",
            changed(plus(VMLINUZ, file(spoil.web_page()))),
        ),
        "a kernel of zeros": ("kernel", changed(plus(VMLINUZ, file(spoil.zeros(8192))))),
        "a kernel of another architecture": ("kernel", changed(plus(VMLINUZ, file(arm)))),
        "a kernel of another version": (
            "kernel",
            changed(plus(VMLINUZ, file(artefacts.kernel("k", 8192, version="4.18.0-1.x86_64")))),
        ),
        "an initramfs of zeros": ("no-kernel", changed(plus(INITRAMFS, file(bytes(4096))))),
        "an empty initramfs": ("no-kernel", changed(plus(INITRAMFS, file(b"")))),
        "an initramfs that is a web page": (
            "no-kernel",
            changed(plus(INITRAMFS, file(spoil.web_page()))),
        ),
    }


def _manifests() -> dict[str, bytes]:
    return {
        "in another encoding": spoil.utf16("bash-4.4-1.el8.x86_64\n"),
        "in Latin-1": "größe-1-1.noarch\n".encode("latin-1"),
        "a web page": spoil.web_page(),
        "nothing": spoil.empty(),
        "zeros": spoil.zeros(512),
    }


def _texts() -> dict[str, bytes]:
    """Return manifests that are a text, and no list of packages."""
    return {
        "no packages": b"these are\nno packages at all\n",
        "JSON": b'[{"name": "bash", "version": "4.4"}]\n',
        "endless": b"a-1-1.noarch\n" * 50_001,
        "a line without end": b"a" * (4 << 20),
        "too large": b"\n" * (4 << 20) + b"a-1-1.noarch\n",
    }


def bad_cases() -> list[Case]:
    """Return what must be refused."""
    return [
        *(
            Case(name, f"centos-{code}", files={"root-tgz": data})
            for name, (code, data) in _roots().items()
        ),
        *(
            Case(f"a manifest: {name}", "centos-manifest", files={"manifest": data})
            for name, data in _manifests().items()
        ),
    ]


def doubtful_cases() -> list[Case]:
    """Return what an operator should look at."""
    stream = "CentOS Stream"
    tarballs = {
        "a device in etc": ("device", changed(plus("etc/sda", device()))),
        "no version": ("release-unread", changed(os_release("ID=centos\n"))),
        "Rocky, which is like it": (
            "sibling",
            changed(os_release('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="8.5"\n')),
        ),
        "no initramfs": ("kernel-incomplete", changed(_with_dracut(without("initramfs")))),
        "an initramfs of zeros, and dracut": (
            "initramfs",
            changed(_with_dracut(plus(INITRAMFS, file(bytes(4096))))),
        ),
        "no kernel, but hooks": (
            "kernel-incomplete",
            changed(_with_hooks(without("vmlinuz"))),
        ),
        "no modules, but hooks": (
            "kernel-incomplete",
            changed(_with_hooks(without("modules"))),
        ),
        "a kernel by another name": (
            "kernel-incomplete",
            changed(lambda those: _renamed(those, VMLINUZ, f"boot/1f2e/{KERNEL}/linux")),
        ),
        "a second kernel that is damaged": (
            "kernel-incomplete",
            changed(plus("boot/vmlinuz-4.18.0-1.el8.x86_64", file(b"MZ" * 9000))),
        ),
        "xz by the name of gzip": (
            "compression",
            root_tarball(members(), compression="xz"),
        ),
        "not compressed": ("compression", root_tarball(members(), compression="")),
        "Stream": ("stream", root_tarball(members("8-stream"))),
        "Stream by os-release alone": (
            "stream",
            changed(
                lambda those: (
                    without("centos-release", "redhat-release")(those),
                    os_release(f'NAME="{stream}"\nID=centos\nVERSION_ID=8\n')(those),
                )
            ),
        ),
        "links to nothing": (
            "release-unread",
            changed(without("usr/lib/os-release", "centos-release", "redhat-release")),
        ),
        "no program": ("no-programs", changed(without("usr/bin/", "usr/sbin/"))),
        "a program of another architecture": (
            "arch-mixed",
            changed(plus("usr/bin/old", program("i386"))),
        ),
        "a kernel more, without modules": (
            "kernel-incomplete",
            changed(
                plus(
                    "boot/vmlinuz-4.18.0-1.el8.x86_64",
                    file(artefacts.kernel("k", 8192, version="4.18.0-1.el8.x86_64")),
                )
            ),
        ),
        "no cloud-init": ("cloud-init", changed(without("cloud-init", "cloudinit"))),
        "hooks that can't run": (
            "curtin-hooks",
            changed(plus("curtin/curtin-hooks", file(b"#!/bin/sh\n"))),
        ),
        "hooks that are no program": (
            "curtin-hooks",
            changed(plus("curtin/curtin-hooks", file(b"hello\n", 0o755))),
        ),
        "no efibootmgr": ("boot-tools", changed(without("efibootmgr"))),
        "no shim": ("boot-tools", changed(without("shimx64"))),
        "no grub": ("boot-tools", changed(without("grub2-install"))),
        "no lvm": ("storage-tools", changed(without("sbin/lvm"))),
    }
    manifests = {
        "of another kernel": ("manifest-kernel", {"kernel": "4.18.0-1.el8.x86_64"}),
        "of CentOS 7": ("manifest-release", {"centos-release": "7-9.2009.el7.x86_64"}),
    }
    return [
        *(
            Case(name, f"centos-{code}", error=False, files={"root-tgz": data})
            for name, (code, data) in tarballs.items()
        ),
        *(
            Case(
                f"a manifest {name}",
                f"centos-{code}",
                error=False,
                files={"manifest": artefacts.rpm_manifest({**rpms("8"), **those})},
            )
            for name, (code, those) in manifests.items()
        ),
        *(
            Case(
                f"a manifest: {name}",
                "centos-manifest-unread",
                error=False,
                files={"manifest": data},
            )
            for name, data in _texts().items()
        ),
    ]


def _with_dracut(change: Change) -> Change:
    return lambda those: (
        plus("usr/bin/dracut", file(b"#!/bin/bash\n", 0o755))(those),
        change(those),
    )


def _with_hooks(change: Change) -> Change:
    hooks = file(b"#!/bin/sh\n", 0o755)
    return lambda those: (plus("curtin/curtin-hooks", hooks)(those), change(those))


def _programs(those: dict[str, Entry], arch: str) -> None:
    for name in those:
        if name.startswith(("usr/bin/", "usr/sbin/")) and name != "usr/bin/cloud-init":
            those[name] = program(arch)


def _renamed(those: dict[str, Entry], old: str, new: str) -> None:
    for name in [each for each in those if each.startswith(old)]:
        those[name.replace(old, new)] = those.pop(name)


RELEASES = tuple(CENTOS)
