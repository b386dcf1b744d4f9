"""What it costs to look into images, beside what it costs to take them.

    python -m benchmarks validation

An Ubuntu version (squashfs, kernel, initrd) is validated, and hashed and written as a sync does it:
in one pass, with fsync. A root tarball is validated, and just decompressed with isal. All files
come from the test kit; the initrd and the tarball compress about as real ones do.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import statistics
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import zstandard
from isal import igzip

from benchmarks.context import Context, taken_in_turns
from benchmarks.processes import Failed
from benchmarks.report import Row, costlier
from mirror.model import Item, Product, Severity, Version
from mirror.plugin_manager import load_plugins
from mirror.testing import artefacts
from mirror.testing.sample_products import centos_products, ubuntu_products

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mirror.testing.sample_products import SampleProduct

_SQUASHFS, _KERNEL, _INITRD, _ROOT = 450_000_000, 15_000_000, 70_000_000, 270_000_000
"""Bytes of the files that are compressed already, as the real ones have them."""
_VERSION = "6.8.0-64-generic"
_CHUNK = 1 << 20
_FILE = 32 << 10
_BARS = (costlier(0.25), costlier(1.0))


def validation(context: Context) -> list[Row]:
    """Validate an Ubuntu version and a root tarball of CentOS."""
    ubuntu_files = _ubuntu_files(context.folder("validation-ubuntu"), context.scale)
    centos_files = _centos_files(context.folder("validation-centos"), context.scale)
    ubuntu = _subject(ubuntu_products()[0], ubuntu_files)
    centos = _subject(centos_products()[-1], centos_files)
    taken = (
        ("450 MB squashfs, kernel, initrd: validate", "hash and write", ubuntu, _take),
        ("270 MB root-tgz: validate", "isal alone", centos, _decompress),
    )
    rows = []
    for (name, peer_name, (validate, files), peer), bar in zip(taken, _BARS, strict=True):
        ours, theirs = _measure(validate, lambda f=files, p=peer: p(f), context.rounds)
        rows.append(Row(name, ours, theirs, "CPU s", peer_name, bar))
    return rows


def _measure(
    ours: Callable[[], object], peer: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Return the medians of the CPU seconds of both, taken in turns."""
    runs: dict[str, Callable[[], object]] = {"ours": ours, "peer": peer}
    taken: dict[str, list[float]] = {"ours": [], "peer": []}
    for name in taken_in_turns(rounds, ("ours", "peer")):
        started = time.process_time()
        runs[name]()
        taken[name].append(time.process_time() - started)
    return statistics.median(taken["ours"]), statistics.median(taken["peer"])


def _subject(
    sample: SampleProduct, files: Mapping[str, Path]
) -> tuple[Callable[[], object], Mapping[str, Path]]:
    """Return how to validate the files as a version of a product."""
    items = tuple(
        Item(
            file.name,
            file.name,
            file.path,
            "0" * 64,
            files[file.name].stat().st_size,
            file.attributes,
        )
        for file in sample.files("20250615", 64 << 10)
    )
    version = Version("20250615", items)
    product = Product(sample.name, sample.content_id, sample.attributes, (version,))
    distribution = load_plugins(strict=True).claimant(product)
    if distribution is None:
        raise Failed(f"no plugin claims {product.name}")

    def validate() -> None:
        findings = list(distribution.validate(product, version, files))
        errors = [each.message for each in findings if each.severity is Severity.ERROR]
        if errors:
            raise Failed(f"{product.name}: {errors[0]}")

    return validate, files


def _ubuntu_files(folder: Path, scale: float) -> dict[str, Path]:
    initrd = artefacts.cpio(
        {
            "init": b"#!/bin/sh\n",
            f"usr/lib/modules/{_VERSION}/modules.dep": b"",
            **_members(f"usr/lib/modules/{_VERSION}/kernel", int(_INITRD * scale)),
        }
    )
    return _written(
        folder,
        {
            "squashfs": artefacts.squashfs("bench", int(_SQUASHFS * scale)),
            "boot-kernel": artefacts.kernel("bench", int(_KERNEL * scale), version=_VERSION),
            "boot-initrd": zstandard.ZstdCompressor(level=3).compress(initrd),
            "manifest": artefacts.dpkg_manifest(
                {f"linux-image-{_VERSION}": "6.8.0-64.67", "base-files": "13ubuntu10.2"}
            ),
        },
    )


def _centos_files(folder: Path, scale: float) -> dict[str, Path]:
    sample = centos_products()[-1]
    files = {file.name: file.data for file in sample.files("20250615_01", 64 << 10)}
    end = bytes(1024)
    plain = gzip.decompress(files["root-tgz"]).rstrip(b"\0")
    plain += bytes(-len(plain) % 512)
    more = artefacts.tar(_members("usr/share", int(_ROOT * scale))).rstrip(b"\0")
    whole = plain + more + bytes(-len(more) % 512) + end
    return _written(folder, {**files, "root-tgz": igzip.compress(whole, 1, mtime=0)})


def _members(below: str, packed: int) -> dict[str, bytes]:
    """Return files of 32 KiB that compress to about `packed` bytes in all, and as slowly expand."""
    text = _text()
    return {
        f"{below}/{number:05}": text[at : at + _FILE]
        for number in range(max(3 * packed // _FILE, 1))
        for at in (number * _FILE % len(text),)
    }


@lru_cache(maxsize=1)
def _text() -> bytes:
    """Return 4 MiB of words, in no order: longer than zstd at its usual levels looks back."""
    chance = random.Random(4)
    words = [chance.randbytes(chance.randint(4, 10)) for _ in range(512)]
    return b"".join(chance.choices(words, k=1 << 20))[: 4 << 20]


def _written(folder: Path, files: Mapping[str, bytes]) -> dict[str, Path]:
    paths = {name: folder / name for name in files}
    for name, data in files.items():
        paths[name].write_bytes(data)
    os.sync()
    return paths


def _take(files: Mapping[str, Path]) -> None:
    """Hash and write, as a sync takes files."""
    for file in files.values():
        digest = hashlib.sha256()
        copy = file.with_suffix(f".{datetime.now(UTC):%f}")
        with file.open("rb") as source, copy.open("wb") as target:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        digest.hexdigest()
        copy.unlink()


def _decompress(files: Mapping[str, Path]) -> None:
    with igzip.open(files["root-tgz"], "rb") as stream:
        while stream.read(_CHUNK):
            pass
