"""The products of a snapshot, as they were planned: a blob of its own beside the stream.

The stream says the same for clients. This form, a line of JSON for each product, is read several
times as fast as the stream is parsed, needs no checks (the signed snapshot names it by its digest),
and is never in memory as a whole.
"""

from __future__ import annotations

import io
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec
import zstandard

from mirror.errors import BlobMissing, SnapshotInvalid
from mirror.model import Product  # noqa: TC001  (msgspec looks at it)
from mirror.simplestreams.collector import collector_paused
from mirror.sync.plan import Planned

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from mirror.model import FileRef, Item, Snapshot, Version
    from mirror.store import Store
    from mirror.store.blobs import Blobs, WritableBlobs

_LEVEL = 3
_BUFFER = 1 << 20


class _Published(msgspec.Struct, frozen=True):
    """A product, and the boot source it came from."""

    product: Product
    source: str


_decode = msgspec.json.Decoder(_Published).decode


def store_products(planned: Iterable[Planned], blobs: WritableBlobs) -> FileRef:
    """Store the products of the next snapshot, and return what to name them by in it."""
    rows = [_Published(each.product, each.source) for each in planned]
    lines = msgspec.json.Encoder().encode_lines(rows)
    return blobs.add_bytes(zstandard.compress(lines, _LEVEL))


@collector_paused()
def published_products(
    snapshot: Snapshot, blobs: Blobs, *, offered: Iterable[Product] = ()
) -> dict[str, Planned]:
    """Return the snapshot's products by name, each with the boot source it came from.

    One that equals a product of `offered` is that very product: it need not be in memory twice.
    Raises `BlobMissing` or `SnapshotInvalid` when the blob is not what it was.
    """
    twins = {product.name: product for product in offered}
    with _rows(snapshot, blobs) as rows:
        unified = (_unify(_decode(row), twins) for row in rows)
        return {row.product.name: Planned(row.product, row.source) for row in unified}


def each_published(snapshot: Snapshot, blobs: Blobs) -> Iterator[Planned]:
    """Yield the snapshot's products one at a time: they are never in memory together.

    Raises `BlobMissing` or `SnapshotInvalid` when the blob is not what it was.
    """
    with _rows(snapshot, blobs) as rows:
        for row in rows:
            found = _decode(row)
            yield Planned(found.product, found.source)


def versions_derived(
    sha256s: Collection[str], snapshot: Snapshot, blobs: Blobs
) -> Iterator[tuple[Planned, Item]]:
    """Yield each item with one of these digests that a plugin derived, and its version alone.

    Raises as `each_published` does.
    """
    for each in each_published(snapshot, blobs):
        for version in each.product.versions:
            for item in version.items:
                if item.derived and item.sha256 in sha256s:
                    product = msgspec.structs.replace(each.product, versions=(version,))
                    yield Planned(product, each.source), item


def find_versions(
    wanted: Iterable[tuple[str, str]], store: Store
) -> dict[tuple[str, str], Version]:
    """Find (product, version) pairs in any snapshot, the newest first; some may be in none."""
    sought = set(wanted)
    found: dict[tuple[str, str], Version] = {}
    for snapshot_id in reversed(store.snapshots.ids()):
        if not sought:
            break
        with suppress(BlobMissing, SnapshotInvalid):  # `mirror verify` is there to say so
            found |= _versions_in(store.snapshots.load(snapshot_id), sought, store.blobs)
        sought -= found.keys()
    return found


def _versions_in(
    snapshot: Snapshot, sought: set[tuple[str, str]], blobs: Blobs
) -> dict[tuple[str, str], Version]:
    # Few rows name a sought version: looking for its text first spares decoding the others.
    texts = {msgspec.json.encode(version) for _, version in sought}
    with _rows(snapshot, blobs) as rows:
        candidates = [_decode(row) for row in rows if any(text in row for text in texts)]
    return {
        (row.product.name, version.name): version
        for row in candidates
        for version in row.product.versions
        if (row.product.name, version.name) in sought
    }


@contextmanager
def _rows(snapshot: Snapshot, blobs: Blobs) -> Iterator[Iterator[bytes]]:
    """Open the list of a snapshot's products, a line for each."""
    if snapshot.products is None:
        yield iter(())
        return
    try:
        with (
            blobs.path(snapshot.products.sha256).open("rb") as packed,
            zstandard.ZstdDecompressor().stream_reader(packed) as stream,
        ):
            yield iter(io.BufferedReader(stream, _BUFFER))
    except FileNotFoundError:
        raise BlobMissing("the list of the published products is gone from the store") from None
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise SnapshotInvalid(f"the list of the published products is damaged: {error}") from error


def _unify(row: _Published, twins: Mapping[str, Product]) -> _Published:
    twin = twins.get(row.product.name)
    return _Published(twin, row.source) if twin is not None and twin == row.product else row
