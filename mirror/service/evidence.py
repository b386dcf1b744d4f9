"""What the snapshots tell of the boot sources: each keeps the metadata that it was made from.

A snapshot is signed by our own key and names its evidence by digest, so that the evidence is what
was verified then. No keyring of the source is needed to read it again.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import BlobCorrupt, MirrorError
from mirror.signing.home import Home
from mirror.simplestreams.limits import Limits
from mirror.simplestreams.read import parse_index, parse_products
from mirror.simplestreams.timestamps import parse_updated
from mirror.simplestreams.verify import INDEX, Seen
from mirror.store.durable import disk_errors
from mirror.sync.place import unsigned_text
from mirror.sync.urls import stream_urls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.model import SourceState
    from mirror.store import Store

_BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"


class Evidence(msgspec.Struct, frozen=True):
    """What is known of one boot source: where its stream is, who signed it, and what was seen.

    `url` is the address that answered; `fingerprint` is of the primary key, '' for an unsigned
    source. `unread` names the files of the evidence that can't be read any more: what was seen of
    those is not known.
    """

    url: str
    updated: str
    fingerprint: str
    seen: dict[str, Seen]
    unread: tuple[str, ...] = ()


def newest_states(
    store: Store, snapshots: Iterable[str]
) -> tuple[dict[str, SourceState], dict[str, str]]:
    """Return the newest state of each source, by name, and why snapshots can't be read, by id."""
    newest: dict[str, SourceState] = {}
    unread: dict[str, str] = {}
    for snapshot_id in snapshots:
        try:
            states = store.snapshots.load(snapshot_id).sources
        except MirrorError as error:
            unread[snapshot_id] = error.what
            continue
        for name, state in states.items():
            if name not in newest or parse_updated(state.updated) >= parse_updated(
                newest[name].updated
            ):
                newest[name] = state
    return newest, unread


def read_evidence(store: Store, states: Mapping[str, SourceState]) -> dict[str, Evidence]:
    """Read what each source's state keeps, by name."""
    home = Home()
    try:
        return {name: _read(store, home, state) for name, state in states.items()}
    finally:
        home.close()


def _read(store: Store, home: Home, state: SourceState) -> Evidence:
    url = state.url
    seen: dict[str, Seen] = {}
    unread: list[str] = []
    for path, ref in state.files.items():
        if path.endswith(".gpg"):
            continue
        try:
            data = _blob(store, ref.sha256)
            name, found = _seen(_text(home, data, signed=bool(state.fingerprint)))
        except MirrorError as error:
            unread.append(f"{path}: {error.what}")
            continue
        seen[name] = found
        if name == INDEX and path not in stream_urls(state.url).indexes:
            url = state.url + path  # the source was given as the address of this file
    return Evidence(url, state.updated, state.fingerprint, seen, tuple(unread))


def _blob(store: Store, digest: str) -> bytes:
    path = store.blobs.path(digest)
    with disk_errors(path):
        data = path.read_bytes()
    if sha256(data).hexdigest() != digest:
        raise BlobCorrupt(f"blob {digest} is damaged")
    return data


def _text(home: Home, data: bytes, *, signed: bool) -> bytes:
    """Return the text of a file, to the byte as it was when it was verified."""
    if not signed:
        return unsigned_text(data)
    # gpg takes the signature off, and misses the key: that is all that it is asked for here
    return bytes(home.gpg.decrypt(data).data) if data.startswith(_BEGIN) else data


def _seen(text: bytes) -> tuple[str, Seen]:
    digest = sha256(text).hexdigest()
    try:
        index = parse_index(text, Limits())
    except MirrorError:
        products = parse_products(text, Limits())
        return products.content_id, Seen(products.updated, digest)
    return INDEX, Seen(index.updated, digest)
