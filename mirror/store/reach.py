"""What a snapshot reaches: every blob that must stay as long as the snapshot does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.model import FileRef, Snapshot


def references(snapshot: Snapshot) -> Iterator[tuple[str, FileRef]]:
    """Yield (what it is for, the blob): published paths, variants, products, sources' evidence."""
    yield from snapshot.files.items()
    if snapshot.products is not None:
        yield "the list of products", snapshot.products
    for path, codings in snapshot.variants.items():
        for coding, ref in codings.items():
            yield f"{path} ({coding})", ref
    for source, state in snapshot.sources.items():
        for path, ref in state.files.items():
            yield f"{source}: {path}", ref
