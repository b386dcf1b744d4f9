"""The products of a snapshot, as they were planned: a blob of its own beside the stream.

The stream says the same for clients. This form is read ten times as fast as the stream is parsed,
and needs no checks: it is what the signed snapshot names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import zstandard

from mirror.errors import BlobMissing, SnapshotInvalid
from mirror.model import Product
from mirror.simplestreams.collector import collector_paused
from mirror.sync.plan import Planned

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.model import FileRef, Snapshot
    from mirror.store.blobs import Blobs, WritableBlobs

_LEVEL = 3


class _Published(msgspec.Struct, frozen=True):
    """A product, and the boot source it came from."""

    product: Product
    source: str


def store_products(planned: Iterable[Planned], blobs: WritableBlobs) -> FileRef:
    """Store the products of the next snapshot, and return what to name them by in it."""
    rows = [_Published(each.product, each.source) for each in planned]
    return blobs.add_bytes(zstandard.compress(msgspec.msgpack.encode(rows), _LEVEL))


@collector_paused()
def published_products(snapshot: Snapshot, blobs: Blobs) -> dict[str, Planned]:
    """Return the snapshot's products by name, each with the boot source it came from.

    Raises `BlobMissing` or `SnapshotInvalid` when the blob is not what it was.
    """
    if snapshot.products is None:
        return {}
    try:
        packed = blobs.path(snapshot.products.sha256).read_bytes()
        rows = msgspec.msgpack.decode(zstandard.decompress(packed), type=list[_Published])
    except FileNotFoundError:
        raise BlobMissing("the list of the published products is gone from the store") from None
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise SnapshotInvalid(f"the list of the published products is damaged: {error}") from error
    return {row.product.name: Planned(row.product, row.source) for row in rows}
