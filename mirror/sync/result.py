"""What a sync did, or would do: for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.model import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.errors import MirrorError
    from mirror.sync.plan import Plan, Planned
    from mirror.sync.sources import SourcesRead
    from mirror.sync.take import Needs


class PlannedFile(msgspec.Struct, frozen=True):
    """A file to fetch."""

    path: str
    size: int
    source: str


class SyncResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a sync.

    `status` is `unchanged`, `published`, `planned` (a dry run) or `held` (by a pin of the channel,
    which has a `reason`: nothing was fetched). Versions that were `left_out` and `sources` that
    failed make it partial: the rest was published all the same. `added` and `dropped` are versions,
    compared with what was published before. `refusal` is why a sync would not publish this.
    """

    status: str
    channel: str
    snapshot: str = ""
    to_fetch: tuple[PlannedFile, ...] = ()
    bytes_to_fetch: int = 0
    files_here: int = 0
    bytes_here: int = 0
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    left_out: tuple[Problem, ...] = ()
    sources: tuple[Problem, ...] = ()
    notes: dict[str, list[str]] = {}
    reason: str = ""
    refusal: Problem | None = None

    @property
    def exit_status(self) -> int:
        """Return 0 when all was done, 3 when something was left out."""
        return 3 if self.left_out or self.sources else 0


def describe(
    status: str,
    channel: str,
    sources: SourcesRead,
    *,
    snapshot: str = "",
    plan: Plan | None = None,
    needs: Needs | None = None,
    planned: Iterable[Planned] = (),
    published: Mapping[str, Planned] | None = None,
    refusal: MirrorError | None = None,
) -> SyncResult:
    """Put together what came of a sync. Without a plan, nothing was new."""
    after = version_names(planned)
    before = version_names((published or {}).values()) if plan else after
    missing = needs.missing if needs else ()
    return SyncResult(
        status=status,
        channel=channel,
        snapshot=snapshot,
        to_fetch=tuple(PlannedFile(each.path, each.size, source) for source, each in missing),
        bytes_to_fetch=needs.bytes if needs else 0,
        files_here=needs.files_here if needs else 0,
        bytes_here=needs.bytes_here if needs else 0,
        added=tuple(sorted(after - before)),
        dropped=tuple(sorted(before - after)),
        left_out=tuple(
            problem(f"{each.product} {each.version}".rstrip(), each.error)
            for each in (plan.left_out if plan else ())
        ),
        sources=tuple(problem(name, error) for name, error in sources.problems.items()),
        notes=plan.notes if plan else {},
        refusal=problem(channel, refusal) if refusal else None,
    )


def problem(about: str, error: MirrorError) -> Problem:
    """Return an error as data."""
    return Problem(about, error.code, error.what, error.remedy)


def version_names(planned: Iterable[Planned]) -> set[str]:
    """Name every version, as `PRODUCT VERSION`."""
    return {
        f"{each.product.name} {version.name}"
        for each in planned
        for version in each.product.versions
    }
