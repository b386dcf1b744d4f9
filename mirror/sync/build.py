"""Make a snapshot: write the stream, sign it, compress it, and name every path and its blob."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import zstandard
from isal import igzip

from mirror.errors import StreamRefusedByMaas
from mirror.model import FileRef, Snapshot, SourceState, utcnow
from mirror.simplestreams.lint import lint_stream
from mirror.simplestreams.write import Document, write_stream
from mirror.sync.published import store_products

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from mirror.signing.key import SigningKey
    from mirror.store.blobs import WritableBlobs
    from mirror.sync.plan import Planned

_WORTH_COMPRESSING = 512
"""Bytes: below this, a compressed form saves less than its header costs."""

_AT_ONCE = 8
"""Documents that are signed and compressed at a time."""

_GZIP_LEVEL = 2
_ZSTD_LEVEL = 9


async def build_snapshot(
    planned: Iterable[Planned],
    *,
    blobs: WritableBlobs,
    key: SigningKey,
    parent: str,
    not_before: datetime,
    sources: Mapping[str, SourceState],
    notes: Mapping[str, list[str]],
) -> Snapshot:
    """Do what `make_snapshot` does, in a thread."""
    return await asyncio.to_thread(
        make_snapshot,
        planned,
        blobs=blobs,
        key=key,
        parent=parent,
        not_before=not_before,
        sources=sources,
        notes=notes,
    )


def make_snapshot(
    planned: Iterable[Planned],
    *,
    blobs: WritableBlobs,
    key: SigningKey,
    parent: str,
    not_before: datetime,
    sources: Mapping[str, SourceState],
    notes: Mapping[str, list[str]],
) -> Snapshot:
    """Write, sign and store the stream's metadata; return the snapshot, which is not saved yet.

    `not_before` is the newest time that was published before: the new one is later. Raises
    `StreamRefusedByMaas` when a MAAS could not read the result.
    """
    planned = list(planned)
    updated = max(utcnow(), not_before + timedelta(seconds=1))
    documents = write_stream([each.product for each in planned], updated)
    _refuse_what_maas_refuses(documents)
    with ThreadPoolExecutor(_AT_ONCE) as threads:  # gpg signs, and both codings are C
        stored = list(threads.map(lambda each: _store_document(each, blobs, key), documents))
    files = _image_files(planned)
    variants: dict[str, dict[str, FileRef]] = {}
    for metadata, compressed in stored:
        files.update(metadata)
        variants.update(compressed)
    return Snapshot(
        created=updated,
        updated=updated,
        parent=parent,
        sources=dict(sources),
        files=files,
        variants=variants,
        products=store_products(planned, blobs),
        notes={name: list(said) for name, said in notes.items()},
    )


def _image_files(planned: Iterable[Planned]) -> dict[str, FileRef]:
    return {
        item.path: FileRef(item.sha256, item.size, each.source)
        for each in planned
        for version in each.product.versions
        for item in version.items
    }


def _store_document(
    document: Document, blobs: WritableBlobs, key: SigningKey
) -> tuple[dict[str, FileRef], dict[str, dict[str, FileRef]]]:
    signed = {
        f"{document.path}.json": document.json,
        f"{document.path}.json.gpg": key.detach(document.json),
        f"{document.path}.sjson": key.clearsign(document.sjson),
    }
    files = {path: blobs.add_bytes(data) for path, data in signed.items()}
    variants = {
        path: {
            "gzip": blobs.add_bytes(igzip.compress(data, compresslevel=_GZIP_LEVEL, mtime=0)),
            "zstd": blobs.add_bytes(zstandard.compress(data, _ZSTD_LEVEL)),
        }
        for path, data in signed.items()
        if len(data) >= _WORTH_COMPRESSING
    }
    return files, variants


def _refuse_what_maas_refuses(documents: list[Document]) -> None:
    findings = lint_stream({f"{each.path}.json": each.json for each in documents})
    fatal = [finding for finding in findings if finding.effect == "fails"]
    if fatal:
        first = fatal[0]
        raise StreamRefusedByMaas(
            f"MAAS {first.maas} could not read the stream: {first.where}: {first.message} "
            f"({first.code}; {len(fatal)} findings)"
        )
