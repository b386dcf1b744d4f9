"""Make a snapshot: write the stream, sign it, compress it, and name every path and its blob."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING

import zstandard
from isal import igzip

from mirror.errors import StreamRefusedByMaas
from mirror.model import FileRef, Snapshot, SourceState, View, utcnow
from mirror.simplestreams.lint import lint_stream
from mirror.sync.published import store_products
from mirror.sync.views import EVERYONE, image_files, write_views

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from mirror.signing.key import SigningKey
    from mirror.simplestreams.write import Document
    from mirror.store.blobs import WritableBlobs
    from mirror.sync.plan import Planned

_WORTH_COMPRESSING = 512
"""Bytes: below this, a compressed form saves less than its header costs."""

_AT_ONCE = 8
"""Documents that are signed and compressed at a time."""

_ON_PURPOSE = frozenset({"index-empty"})
"""A stream without anything free says so to who may have nothing else: nobody is to import it."""

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
    streams = write_views([each.product for each in planned], updated)
    for documents in streams.values():
        _refuse_what_maas_refuses(documents)
    views = _store_views(streams, blobs, key)
    everyone = views.pop(EVERYONE)
    return Snapshot(
        created=updated,
        updated=updated,
        parent=parent,
        sources=dict(sources),
        files={**image_files(planned), **everyone.files},
        variants=everyone.variants,
        views={name: _beyond(everyone, view) for name, view in views.items()},
        products=store_products(planned, blobs),
        notes={name: list(said) for name, said in notes.items()},
    )


def _store_views(
    streams: Mapping[str, list[Document]], blobs: WritableBlobs, key: SigningKey
) -> dict[str, View]:
    """Sign, compress and store each document once, however many views have it."""
    documents = list(dict.fromkeys(chain.from_iterable(streams.values())))
    with ThreadPoolExecutor(_AT_ONCE) as threads:  # gpg signs, and both codings are C
        found = threads.map(lambda each: _store_document(each, blobs, key), documents)
        stored = dict(zip(documents, found, strict=True))
    views = {}
    for name, stream in streams.items():
        view = views[name] = View({})
        for document in stream:
            files, variants = stored[document]
            view.files.update(files)
            view.variants.update(variants)
    return views


def _beyond(everyone: View, view: View) -> View:
    """Return what is different in a view."""
    files = {path: ref for path, ref in view.files.items() if everyone.files.get(path) != ref}
    return View(files, {path: view.variants[path] for path in files if path in view.variants})


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
    fatal = [each for each in findings if each.effect == "fails" and each.code not in _ON_PURPOSE]
    if fatal:
        first = fatal[0]
        raise StreamRefusedByMaas(
            f"MAAS {first.maas} could not read the stream: {first.where}: {first.message} "
            f"({first.code}; {len(fatal)} findings)"
        )
