"""Custom images, beside the tools that people make them with.

    python -m benchmarks custom-images

A root-tgz is checked, and tested with `gzip -t`. A sparse qcow2 becomes a root-dd.gz, and is
converted with `qemu-img convert` to a raw file that `gzip -6` packs: qemu-img writes to no pipe,
and that takes a twentieth of the time. The root file system in an ext4 becomes a root-tgz, and the
tree that it was made of goes through `tar | gzip -6`. Ours runs in a process of its own, from the
start of Python on.
"""

from __future__ import annotations

import random
import shlex
import shutil
import statistics
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

from isal import igzip_threaded

from benchmarks.context import Context, taken_in_turns
from benchmarks.processes import Cost, Failed, run
from benchmarks.report import Row, at_most, faster, time_row
from mirror.testing.root_tarballs import file, program, root_tarball

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_TGZ, _DISK, _DATA, _TREE = 2_000_000_000, 10 << 30, 2 << 30, 1 << 30
"""Bytes of the tgz, of the disk, of what is not zeros on it, and of the files in the tree."""
_MEMORY = 300.0
"""MB that ours may take, whatever the size of the image."""
_MIB = 1 << 20


@dataclass(frozen=True)
class _Pair:
    """What we do, and what the peer does: `peer` is a line for a shell."""

    name: str
    ours: tuple[str, ...]
    peer: str
    peer_name: str
    times: float


def custom_images(context: Context) -> list[Row]:
    """Check and build custom images, beside gzip, qemu-img and tar."""
    missing = [name for name in ("qemu-img", "mke2fs", "gzip", "tar") if not _found(name)]
    if missing:
        raise Failed(f"{' and '.join(missing)} is not installed")
    folder = context.folder("custom-images")
    out, raw = shlex.quote(f"{folder}/peer.gz"), shlex.quote(f"{folder}/peer.raw")
    tgz = _made(context, "root.tgz", _make_tgz)
    disk = _made(context, "disk.qcow2", _make_disk)
    root = _made(context, "root.ext4", _make_root)
    tree = shlex.quote(str(root.with_suffix(".tree")))
    quoted = shlex.quote(str(disk))
    pairs = (
        _Pair(
            "check a root-tgz of 2 GB",
            ("check", str(tgz), "root-tgz"),
            f"gzip -t {shlex.quote(str(tgz))}",
            "gzip -t",
            1.0,
        ),
        _Pair(
            "10 GiB qcow2, 2 GiB of data -> root-dd.gz",
            ("build", str(disk), "root-dd.gz", str(folder)),
            f"qemu-img convert -O raw {quoted} {raw} && gzip -6 < {raw} > {out}; rm {raw}",
            "qemu-img, gzip -6",
            5.0,
        ),
        _Pair(
            "ext4 with 1 GiB of files -> root-tgz",
            ("build", str(root), "root-tgz", str(folder)),
            f"tar --numeric-owner -C {tree} -cf - . | gzip -6 > {out}",
            "tar | gzip -6",
            4.0,
        ),
    )
    return [row for pair in pairs for row in _rows(context, pair, folder)]


def _rows(context: Context, pair: _Pair, folder: Path) -> Iterator[Row]:
    ours: list[Cost] = []
    peer: list[Cost] = []
    for who in taken_in_turns(context.rounds, ("ours", "peer")):
        log = folder / f"{who}.log"
        if who == "ours":
            ours.append(run([sys.executable, "-m", "benchmarks.image_work", *pair.ours], log=log))
            shutil.rmtree(folder / "scratch", ignore_errors=True)
        else:
            peer.append(run(["sh", "-ec", pair.peer], log=log))
    mine, theirs = (statistics.median(each.seconds for each in costs) for costs in (ours, peer))
    yield time_row(pair.name, mine, theirs, pair.peer_name, faster(pair.times))
    peak = max(each.peak for each in ours) / 1e6
    yield Row(f"{pair.name}: memory", peak, None, "MB", bar=at_most(_MEMORY))
    if pair.ours[0] == "build":
        sizes = int(ours[-1].output.split()[1]), (folder / "peer.gz").stat().st_size
        yield Row(f"{pair.name}: size", sizes[0] / 1e6, sizes[1] / 1e6, "MB", pair.peer_name)


def _found(program: str) -> str | None:
    return shutil.which(program, path="/usr/bin:/bin:/usr/sbin:/sbin")


# --- what is worked on ----------------------------------------------------------------------------


def _made(context: Context, name: str, make: Callable[[Path, float], None]) -> Path:
    """Return a file of the cache, made where it is not there yet."""
    made = context.cache / f"{context.scale:g}-{name}"
    if not made.exists():
        fresh = made.with_name(f"new-{made.name}")
        make(fresh, context.scale)
        tree = fresh.with_suffix(".tree")
        if tree.exists():
            tree.rename(made.with_suffix(".tree"))
        fresh.rename(made)
    return made


def _make_tgz(made: Path, scale: float) -> None:
    """Make a root-tgz, with more and more files until it is large enough."""
    chance = random.Random(1)
    with (
        igzip_threaded.open(made, "wb", compresslevel=1, threads=2) as packed,
        tarfile.open(fileobj=packed, mode="w|", bufsize=_MIB) as archive,
    ):
        for name, content in _root_files().items():
            _add(archive, name, content)
        number = 0
        while made.stat().st_size < _TGZ * scale:
            for _ in range(1000):
                _add(archive, f"usr/share/data/{number // 1000}/{number}", _content(chance))
                number += 1


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(f"./{name}")
    info.size, info.mode = len(content), 0o755 if "/bin/" in name else 0o644
    archive.addfile(info, BytesIO(content))


def _make_disk(made: Path, scale: float) -> None:
    """Make a disk with an MBR; runs of data of up to 8 MiB are all over it, the rest is holes."""
    chance = random.Random(2)
    raw = made.with_suffix(".raw")
    size, data = int(_DISK * scale) // _MIB, int(_DATA * scale) // _MIB
    entry = bytes(446) + b"\x80\0\2\0\x83\0\3\0" + (2048).to_bytes(4, "little")
    with raw.open("wb") as file:
        file.truncate(size * _MIB)
        file.write(entry + ((size - 1) * 2048).to_bytes(4, "little") + bytes(48) + b"\x55\xaa")
        places = iter(sorted(chance.sample(range(1, size // 8), max(data // 8, 1))))
        for place in places:
            file.seek(place * 8 * _MIB)
            for _ in range(8):
                file.write(b"".join(_content(chance, 64 << 10) for _ in range(16)))
    _do("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, made)
    raw.unlink()


def _make_root(made: Path, scale: float) -> None:
    """Make a tree of files of all sizes, most of them small, and an ext4 of it."""
    chance = random.Random(3)
    tree = made.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    left = int(_TREE * scale)
    files = {**_root_files()}
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content)
    number = 0
    while left > 0:
        folder = tree / f"usr/share/data/{number}"
        folder.mkdir(parents=True)
        number += 1
        for each in range(100):
            content = _content(chance)
            (folder / f"file-{each}").write_bytes(content)
            left -= len(content)
    room = int(_TREE * scale * 1.4) + 64 * _MIB
    _do("mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, made, f"{room >> 10}k")


def _root_files() -> dict[str, bytes]:
    """Return what every root file system has, and is told by."""
    packed = BytesIO(
        root_tarball(
            {
                "etc/os-release": file(b'ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\n'),
                "etc/fstab": file(b""),
                "usr/bin/bash": program("amd64"),
                "usr/sbin/init": program("amd64"),
                "usr/lib/systemd/systemd": program("amd64"),
            }
        )
    )
    with tarfile.open(fileobj=packed) as archive:
        members = {each.name: archive.extractfile(each) for each in archive if each.isfile()}
        return {name: stream.read() for name, stream in members.items() if stream is not None}


def _content(chance: random.Random, size: int = 0) -> bytes:
    """Return the content of a file; of any size, as files of a system have it."""
    size = size or min(int(chance.paretovariate(0.9) * 2000), 4 * _MIB)
    pool = _pool()
    at = chance.randrange(len(pool) - size)
    return pool[at : at + size]


@lru_cache(maxsize=1)
def _pool() -> bytes:
    """Return 32 MiB that gzip and isal pack as the shared libraries of a system: to 0.38 and 0.43.

    Four fifths are words, some of which are said more often than others; a fifth is noise.
    """
    chance = random.Random(4)
    letters = "etaoinshrdlu \n"
    words = ["".join(chance.choices(letters, k=chance.randint(4, 30))) for _ in range(4096)]
    often = [1 / rank**1.2 for rank in range(1, len(words) + 1)]
    parts = []
    for _ in range(512):
        text = "".join(chance.choices(words, often, k=6000)).encode()[: 52 << 10]
        parts.append(text + chance.randbytes((64 << 10) - len(text)))
    return b"".join(parts)


def _do(*command: object) -> None:
    words = [_found(str(command[0])) or "", *map(str, command[1:])]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{command[0]}: {done.stderr[-500:]}")
