"""Whole disks for tests, made of trees of files by independent tools, unprivileged.

A tree is a directory (`plant` writes one); `fat`, `ext4`, `xfs` and `ntfs` make a file system of
it, and `gpt` and `mbr` a disk of those.
"""

from __future__ import annotations

import os
import stat
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mirror.testing.tools import tool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

MIB = 1024**2

ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
LVM = "E6D6D379-F507-44C2-A23C-238F2A3DF928"
MICROSOFT_RESERVED = "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"
MICROSOFT_DATA = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"


@dataclass(frozen=True)
class Slice:
    """A partition that is to be: `kind` is a GUID, or a type of MBR in hexadecimal (`0c`).

    `content` is the file that is in it; without one it is empty. `size` is in bytes, 0: as the
    content. On a disk with an MBR, an `extended` one goes in as a logical partition.
    """

    content: Path | None = None
    kind: str = LINUX
    size: int = 0
    name: str = ""
    extended: bool = False
    bootable: bool = False


def run(*command: object, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
    """Run a program that must succeed; return what it prints."""
    words = [tool(str(command[0])), *map(str, command[1:])]
    environment = {**os.environ, "LC_ALL": "C", "MTOOLS_SKIP_CHECK": "1", **(env or {})}
    done = subprocess.run(
        words, input=stdin, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


# --- trees ----------------------------------------------------------------------------------------


def plant(folder: Path, files: Mapping[str, bytes | str], executable: Iterable[str] = ()) -> Path:
    """Write files below a directory; those named in `executable` get mode 0755."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o755 if name in executable else 0o644)
    return folder


# --- file systems ---------------------------------------------------------------------------------


def _empty(image: Path, size: int) -> Path:
    image.unlink(missing_ok=True)
    image.touch()
    os.truncate(image, size)
    return image


def fat(image: Path, tree: Path, size: int = 34 * MIB, *, bits: int = 0, label: str = "") -> Path:
    """Make a FAT file system of `bits` (12, 16, 32; 0: as suits the size), with mtools' mcopy."""
    _empty(image, size)
    kind = ["-F", bits] if bits else []
    run("mkfs.vfat", *kind, *(["-n", label] if label else []), image)
    for each in sorted(tree.iterdir()):
        run("mcopy", "-i", image, "-s", "-Q", each, "::/")
    return image


def ext4(
    image: Path,
    tree: Path,
    size: int = 16 * MIB,
    *options: str,
    label: str = "",
    kind: str = "ext4",
) -> Path:
    """Make an ext4 (or ext2, ext3) file system with mke2fs; `options` are more for it."""
    _empty(image, size)
    named = ["-L", label] if label else []
    run("mke2fs", "-q", "-F", "-t", kind, *named, *options, "-d", tree, image)
    return image


def xfs(image: Path, tree: Path, size: int = 300 * MIB, *options: str, label: str = "") -> Path:
    """Make an XFS file system with mkfs.xfs. Names with spaces can't be in its prototype."""
    _empty(image, size)
    prototype = image.with_suffix(".proto")
    prototype.write_text("\n".join(["/stub", "0 0", *_prototype(tree), "$", ""]))
    named = ["-L", label] if label else []
    run("mkfs.xfs", "-q", "-f", *named, *options, "-p", prototype, image)
    prototype.unlink()
    return image


def _prototype(path: Path, depth: int = 0) -> list[str]:
    """Return the lines of a prototype for mkfs.xfs: what is in a directory, or a file."""
    found = path.lstat()
    kind = {stat.S_IFDIR: "d", stat.S_IFREG: "-", stat.S_IFLNK: "l"}[stat.S_IFMT(found.st_mode)]
    mode = stat.S_IMODE(found.st_mode)
    setuid = "u" if mode & stat.S_ISUID else "-"
    setgid = "g" if mode & stat.S_ISGID else "-"
    head = f"{kind}{setuid}{setgid}{mode & 0o777:03o} {found.st_uid} {found.st_gid}"
    if depth:
        head = f"{'  ' * depth}{path.name} {head}"
    if kind == "-":
        return [f"{head} {path}"]
    if kind == "l":
        return [f"{head} {path.readlink()}"]
    inside = [line for each in sorted(path.iterdir()) for line in _prototype(each, depth + 1)]
    return [head, *inside, *(["  " * depth + "$"] if depth else [])]


def ntfs(image: Path, tree: Path, size: int = 16 * MIB, *options: str, label: str = "") -> Path:
    """Make an NTFS file system: mkntfs, and wimlib for the tree."""
    _empty(image, size)
    named = ["-L", label] if label else []
    run("mkntfs", "-q", "-F", "-Q", *named, *options, image)
    wim = image.with_suffix(".wim")
    wim.unlink(missing_ok=True)
    run("wimlib-imagex", "capture", tree, wim, "--compress=none")
    run("wimlib-imagex", "apply", wim, "1", image)
    wim.unlink()
    return image


def btrfs(image: Path, tree: Path, size: int = 128 * MIB) -> Path:
    """Make a btrfs."""
    run("mkfs.btrfs", "-q", "-r", tree, _empty(image, size))
    return image


# --- disks ----------------------------------------------------------------------------------------


def gpt(
    disk: Path, slices: Sequence[Slice], *, size: int = 0, tail: int = MIB, start: int = MIB
) -> Path:
    """Make a disk with a GPT of 512-byte sectors, with sfdisk; partitions are aligned to 1 MiB.

    It is of `size` bytes, or as large as the partitions need, and `tail` more.
    """
    placed = _placed(slices, start)
    end = placed[-1][0] + placed[-1][1].size if placed else start
    _empty(disk, size or end + tail)
    lines = ["label: gpt", "unit: sectors", "first-lba: 34"]
    for number, (begin, each) in enumerate(placed, 1):
        named = f', name="{each.name}"' if each.name else ""
        place = f"start={begin // 512}, size={each.size // 512}"
        lines.append(f"{number} : {place}, type={each.kind}{named}")
    _sfdisk(disk, lines)
    _fill(disk, placed)
    return disk


def gpt_4096(disk: Path, slices: Sequence[Slice], *, tail: int = MIB) -> Path:
    """Make a disk with a GPT of 4096-byte sectors, with fdisk."""
    placed = _placed(slices, MIB)
    end = placed[-1][0] + placed[-1][1].size if placed else MIB
    _empty(disk, end + tail)
    lines = ["g"]
    for number, (begin, each) in enumerate(placed, 1):
        last = (begin + each.size) // 4096 - 1
        lines += ["n", str(number), str(begin // 4096), str(last), "t"]
        lines += [*([str(number)] if number > 1 else []), each.kind]
    run("fdisk", "-b", "4096", disk, stdin="\n".join([*lines, "w", ""]))
    _fill(disk, placed)
    return disk


def mbr(disk: Path, slices: Sequence[Slice], *, tail: int = 0) -> Path:
    """Make a disk with an MBR, with sfdisk; `extended` slices are the last, in partition 4."""
    placed = _placed(slices, MIB)
    end = placed[-1][0] + placed[-1][1].size
    _empty(disk, end + tail)
    logical = [begin for begin, each in placed if each.extended]
    lines, number, within = ["label: dos", "unit: sectors"], 0, 4
    for begin, each in placed:
        if logical and begin == logical[0]:
            first = begin // 512 - 1024
            lines.append(f"4 : start={first}, size={end // 512 - first}, type=5")
        number, within = (number, within + 1) if each.extended else (number + 1, within)
        at = within if each.extended else number
        boot = ", bootable" if each.bootable else ""
        kind = f"type={each.kind}{boot}"
        lines.append(f"{at} : start={begin // 512}, size={each.size // 512}, {kind}")
    _sfdisk(disk, lines)
    _fill(disk, placed)
    return disk


def _sfdisk(disk: Path, lines: Sequence[str]) -> None:
    run("sfdisk", "-q", "--no-reread", "--no-tell-kernel", disk, stdin="\n".join(lines) + "\n")


def _placed(slices: Sequence[Slice], start: int) -> list[tuple[int, Slice]]:
    """Return where each goes, of which size; a logical one has a MiB of room before it."""
    placed, at = [], start
    for each in slices:
        size = each.size or (each.content.stat().st_size if each.content else MIB)
        if each.extended:
            at += MIB
        placed.append((at, replace(each, size=size)))
        at += size + -size % MIB
    return placed


def _fill(disk: Path, placed: Sequence[tuple[int, Slice]]) -> None:
    for begin, each in placed:
        if each.content is not None:
            put(disk, each.content, begin)


def put(disk: Path, content: Path, at: int) -> None:
    """Copy a file into a disk, its holes left out."""
    with content.open("rb") as source, disk.open("r+b") as target:
        end, here = os.fstat(source.fileno()).st_size, 0
        while here < end:
            try:
                begin = os.lseek(source.fileno(), here, os.SEEK_DATA)
            except OSError:  # only a hole is left
                return
            here = os.lseek(source.fileno(), begin, os.SEEK_HOLE)
            for piece in range(begin, here, 4 * MIB):
                target.seek(at + piece)
                target.write(os.pread(source.fileno(), min(4 * MIB, here - piece), piece))
