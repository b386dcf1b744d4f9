"""Build real artefacts out of Debian's packages: kernels, initrds, root file systems, bootloaders.

There are two versions, which differ by a few packages; `debian_products` publishes them.

It needs Linux on amd64, root (a chroot), the programs that `missing()` names, about 4 GB of disk,
and apt sources of Debian that answer. The first build takes a few minutes; what it makes is kept in
a cache, one directory a version, and used again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from mirror.testing.sample_products import day

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = ("debootstrap", "mksquashfs", "unsquashfs", "dpkg-deb", "apt-get", "xz", "zstd", "tar")
VERSIONS = tuple(day(number) for number in range(2))
KERNELS = {"ga-12": "linux-image-cloud-amd64", "hwe-12": "linux-image-amd64"}
BASE = ("initramfs-tools", "zstd", *KERNELS.values())
ADDED_LATER = ("busybox", "less", "netcat-openbsd")
"""What the second version has more; busybox goes into its initrds too."""

BOOT_PACKAGES = ("shim-signed", "grub-efi-amd64-signed", "pxelinux", "syslinux-common")
ARCHIVES = {
    "shim-signed": ("shim-signed", {"bootx64.efi": "usr/lib/shim/shimx64.efi.signed"}),
    "grub2-signed": (
        "grub-efi-amd64-signed",
        {"grubx64.efi": "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"},
    ),
    "syslinux": (
        "pxelinux",
        {
            "lpxelinux.0": "usr/lib/PXELINUX/lpxelinux.0",
            **{
                f"{name}.c32": f"usr/lib/syslinux/modules/bios/{name}.c32"
                for name in ("chain", "ifcpu64", "ldlinux", "libcom32", "libutil")
            },
        },
    ),
}
"""Item of a bootloader -> the package that names its version, and member -> file in a package."""

QUIET = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}


def missing() -> list[str]:
    """Say what this machine lacks, in words; empty when the upstream can be built."""
    lacking = [f"the program {name}" for name in PROGRAMS if not shutil.which(name)]
    if os.geteuid() != 0:
        lacking.append("root, for debootstrap and chroot")
    if os.uname().machine != "x86_64":
        lacking.append("an amd64 machine")
    if not lacking and not debian_source():
        lacking.append("an apt source of Debian, with its lists (apt-get update)")
    return lacking


def debian_source() -> tuple[str, str] | None:
    """Return (address, codename) of the Debian that this machine's own apt is set up for."""
    listed = run(
        *("apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)"),
        *("Created-By: Packages", "Origin: Debian", "Component: main"),
    )
    for line in listed.splitlines():
        site, _, codename = line.partition(" ")
        if site and codename and "-" not in codename:
            return site, codename
    return None


def build(cache: Path) -> Path:
    """Build what `cache` lacks, and return it."""
    cache.mkdir(parents=True, exist_ok=True)
    work = cache / "work"
    remove(work)
    wanted = [version for version in VERSIONS if not (cache / version).is_dir()]
    if wanted or not (cache / "bootloaders").is_dir():
        work.mkdir()
        build_bootloaders(work / "debs", cache / "bootloaders")
        if wanted:
            build_versions(work / "root", cache)
        remove(work)
    return cache


def build_versions(root: Path, cache: Path) -> None:
    """Make a root file system, publish it; add packages to it, publish it again."""
    bootstrap(root)
    collect(root, cache / VERSIONS[0])
    in_chroot(root, "apt-get", "update")
    in_chroot(root, "apt-get", "install", "--yes", "--no-install-recommends", *ADDED_LATER)
    in_chroot(root, "apt-get", "clean")
    collect(root, cache / VERSIONS[1])


def bootstrap(root: Path) -> None:
    site, codename = debian_source() or ("", "")
    run("debootstrap", "--variant=minbase", f"--include={','.join(BASE)}", codename, root, site)
    in_chroot(root, "apt-get", "clean")


def collect(root: Path, done: Path) -> None:
    """Take every artefact of a version out of `root`, into `done`, which appears when whole."""
    out = done.with_name(f"{done.name}.new")
    remove(out)
    out.mkdir()
    for subarch, package in KERNELS.items():
        release = kernel_release(root, package)
        shutil.copy(root / f"boot/vmlinuz-{release}", out / f"{subarch}.boot-kernel")
        shutil.copy(root / f"boot/initrd.img-{release}", out / f"{subarch}.boot-initrd")
    manifest = in_chroot(root, "dpkg-query", "--show", "--showformat", "${Package}\t${Version}\n")
    (out / "manifest").write_text(manifest)
    # As in Ubuntu's: the kernel's modules come in the initrd.
    left_out = ("boot/*", "usr/lib/modules/*", "var/cache/apt/*", "var/lib/apt/lists/*", "proc/*")
    run(
        *("mksquashfs", root, out / "squashfs", "-comp", "zstd", "-Xcompression-level", "6"),
        *("-noappend", "-no-progress", "-quiet", "-wildcards", "-e", *left_out),
    )
    run(
        *("tar", "--create", "--use-compress-program", "gzip -1", "--file", out / "root-tgz"),
        *(f"--exclude=./{pattern}" for pattern in left_out[2:]),
        *("--one-file-system", "--directory", root, "."),
    )
    out.rename(done)


def kernel_release(root: Path, package: str) -> str:
    """Return the release (`6.1.0-50-amd64`) of the kernel that a metapackage stands for."""
    depends = in_chroot(root, "dpkg-query", "--show", "--showformat", "${Depends}", package)
    return depends.split()[0].rstrip(",").removeprefix("linux-image-")


def build_bootloaders(debs: Path, done: Path) -> None:
    """Make the archives that MAAS unpacks for its TFTP server, out of packages."""
    if done.is_dir():
        return
    debs.mkdir()
    run("apt-get", "download", "-o", "APT::Sandbox::User=root", *BOOT_PACKAGES, cwd=debs)
    for deb in debs.glob("*.deb"):
        run("dpkg-deb", "--extract", deb, debs / "tree")
    out = done.with_name("bootloaders.new")
    remove(out)
    out.mkdir()
    for item, (package, members) in ARCHIVES.items():
        flat = debs / item
        flat.mkdir()
        for member, source in members.items():
            shutil.copy(debs / "tree" / source, flat / member)
        run("tar", "--create", "--xz", "--file", out / f"{item}.tar.xz", *members, cwd=flat)
        (deb,) = debs.glob(f"{package}_*.deb")
        (out / f"{item}.version").write_text(run("dpkg-deb", "--field", deb, "Version").strip())
    out.rename(done)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program to its end, and return what it printed; say all of it if it failed."""
    done = subprocess.run(
        command, cwd=cwd, env=QUIET, capture_output=True, text=True, check=False, timeout=1200
    )
    if done.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise RuntimeError(f"{words}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr}")
    return done.stdout


def in_chroot(root: Path, *command: str) -> str:
    """Run a program inside `root`."""
    return run("chroot", root, *command)


def remove(tree: Path) -> None:
    """Remove a tree, but nothing that is mounted in it."""
    run("rm", "-rf", "--one-file-system", tree)
