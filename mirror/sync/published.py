"""The products of a snapshot, as they were planned: a blob of its own beside the stream.

The stream says the same for clients. This form, a line of JSON for each product, is read several
times as fast as the stream is parsed, needs no checks (the signed snapshot names it by its digest),
and is never in memory as a whole.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec
import zstandard

from mirror.errors import BlobMissing, SnapshotInvalid
from mirror.model import Product  # noqa: TC001  (msgspec looks at it)
from mirror.simplestreams.collector import collector_paused
from mirror.sync.plan import Planned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import BinaryIO

    from mirror.model import FileRef, Snapshot
    from mirror.store.blobs import Blobs, WritableBlobs

_LEVEL = 3
_BUFFER = 1 << 20


class _Published(msgspec.Struct, frozen=True):
    """A product, and the boot source it came from."""

    product: Product
    source: str


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
    if snapshot.products is None:
        return {}
    twins = {product.name: product for product in offered}
    try:
        with blobs.path(snapshot.products.sha256).open("rb") as packed:
            rows = (_unify(row, twins) for row in _rows(packed))
            return {row.product.name: Planned(row.product, row.source) for row in rows}
    except FileNotFoundError:
        raise BlobMissing("the list of the published products is gone from the store") from None
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise SnapshotInvalid(f"the list of the published products is damaged: {error}") from error


def _rows(packed: BinaryIO) -> Iterator[_Published]:
    decode = msgspec.json.Decoder(_Published).decode
    with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        for line in io.BufferedReader(stream, _BUFFER):
            yield decode(line)


def _unify(row: _Published, twins: Mapping[str, Product]) -> _Published:
    twin = twins.get(row.product.name)
    return _Published(twin, row.source) if twin is not None and twin == row.product else row
