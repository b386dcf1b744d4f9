"""Trees of snapshots that no channel points at, loaded when asked for at /snapshots/<id>/."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from mirror.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mirror.server.tree import Tree

MAX_TREES = 2
"""A tree of 80,000 files takes some 40 MB."""

_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")


class PinnedTrees:
    """The last few trees that were asked for. `load` blocks; it raises NotFound or MirrorError."""

    def __init__(self, load: Callable[[str], Tree]) -> None:
        self._load = load
        self._trees: dict[str, Tree] = {}
        self._one_at_a_time = asyncio.Lock()

    async def get(self, snapshot_id: str) -> Tree | None:
        """Return the tree, None if there is no such snapshot; SnapshotInvalid if it is damaged."""
        if _ID.fullmatch(snapshot_id) is None:
            return None
        tree = self._trees.get(snapshot_id)
        if tree is not None:
            return tree
        async with self._one_at_a_time:
            if snapshot_id not in self._trees:
                try:
                    self._keep(await asyncio.to_thread(self._load, snapshot_id))
                except NotFound:
                    return None
            return self._trees[snapshot_id]

    def keep_only(self, existing: Collection[str]) -> None:
        """Forget the trees of snapshots that were removed."""
        for snapshot_id in self._trees.keys() - set(existing):
            del self._trees[snapshot_id]

    def _keep(self, tree: Tree) -> None:
        while len(self._trees) >= MAX_TREES:
            del self._trees[next(iter(self._trees))]
        self._trees[tree.snapshot] = tree
