"""One snapshot as the server sees it: every path in a dict, its metadata in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.server.encoding import choose
from mirror.server.resources import REVALIDATE, Resource, make_resource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mirror.model import FileRef, Snapshot

METADATA = "streams/"
"""Where the metadata of a stream lies; every other path is an image file."""

MAX_IN_MEMORY = 2**20
"""Bytes of the largest metadata file that is kept in memory; a larger one is sent from its blob."""

CONTENT_TYPES = {
    ".json": "application/json; charset=utf-8",
    ".sjson": "text/plain; charset=utf-8",
    ".gpg": "text/plain; charset=utf-8",
    ".asc": "text/plain; charset=utf-8",
}
OCTETS = "application/octet-stream"


class Form(msgspec.Struct, frozen=True, gc=False):
    """A metadata file in one encoding: its blob, and its bytes if they are few."""

    resource: Resource
    sha256: str
    body: bytes | None


class Document(msgspec.Struct, frozen=True):
    """A metadata file: as it is, and in the encodings that were made when it was published."""

    plain: Form
    encoded: dict[str, Form]
    codings: frozenset[str]

    def form(self, accept_encoding: str, *, ranged: bool) -> Form:
        """Return what to send to a client that accepts these encodings.

        A range is always of the plain file: who resumes a download must not mix encodings.
        """
        if ranged or not accept_encoding:
            return self.plain
        coding = choose(accept_encoding, self.codings)
        return self.encoded[coding] if coding else self.plain


class Tree(msgspec.Struct, frozen=True):
    """What one snapshot publishes: image files by path, and metadata files by path.

    `documents` are for everyone; `views` has those for who has some of `licences`, which are those
    that images of the snapshot need. Where all is free there are none.
    """

    snapshot: str
    files: Mapping[str, FileRef]
    documents: Mapping[str, Document]
    views: Mapping[frozenset[str], Mapping[str, Document]] = {}
    licences: frozenset[str] = frozenset()

    def seen_with(self, licences: frozenset[str]) -> Mapping[str, Document]:
        """Return the metadata files for who has these licences, and maybe others."""
        return self.views.get(licences & self.licences, self.documents)


def build_tree(snapshot_id: str, snapshot: Snapshot, read: Callable[[FileRef], bytes]) -> Tree:
    """Return the tree of a snapshot. `read` returns a blob's bytes; what it raises goes through."""
    files = {p: ref for p, ref in snapshot.files.items() if not p.startswith(METADATA)}
    modified = int(snapshot.updated.timestamp())
    varies = ("Authorization",) if snapshot.views else ()

    def documents(
        of: Mapping[str, FileRef], variants: Mapping[str, Mapping[str, FileRef]]
    ) -> dict[str, Document]:
        return {
            path: _document(
                path, ref, variants.get(path, {}), modified=modified, varies=varies, read=read
            )
            for path, ref in of.items()
            if path.startswith(METADATA)
        }

    everyone = documents(snapshot.files, snapshot.variants)
    views = {
        frozenset(name.split("+")): {**everyone, **documents(view.files, view.variants)}
        for name, view in snapshot.views.items()
    }
    return Tree(snapshot_id, files, everyone, views, frozenset().union(*views))


def content_type(path: str) -> str:
    """Return the Content-Type of a metadata file."""
    _, dot, suffix = path.rpartition(".")
    return CONTENT_TYPES.get(dot + suffix, OCTETS)


def _document(
    path: str,
    ref: FileRef,
    variants: Mapping[str, FileRef],
    *,
    modified: int,
    varies: Sequence[str],
    read: Callable[[FileRef], bytes],
) -> Document:
    def form(of: FileRef, encoding: str = "") -> Form:
        resource = make_resource(
            sha256=of.sha256,
            size=of.size,
            modified=modified,
            content_type=content_type(path),
            cache_control=REVALIDATE,
            encoding=encoding,
            varies=("Accept-Encoding", *varies) if variants else varies,
        )
        return Form(resource, of.sha256, read(of) if of.size <= MAX_IN_MEMORY else None)

    encoded = {coding: form(variant, coding) for coding, variant in variants.items()}
    return Document(form(ref), encoded, frozenset(encoded))
