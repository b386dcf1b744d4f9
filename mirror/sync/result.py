"""What a sync did, or would do: for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.model import Finding, Problem, Severity, VersionFindings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
    compared with what was published before. `findings` are the errors and warnings of the versions
    that plugins looked at this time. `refusal` is why a sync would not publish this.
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
    findings: tuple[VersionFindings, ...] = ()
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
    judged: Iterable[VersionFindings] = (),
    refusal: MirrorError | None = None,
) -> SyncResult:
    """Put together what came of a sync. Without a plan, nothing was new.

    `judged` is what plugins found this time, of each version that they looked at.
    """
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
        findings=tuple(sorted(grave(judged), key=lambda each: (each.product, each.version))),
        refusal=problem(channel, refusal) if refusal else None,
    )


def problem(about: str, error: MirrorError) -> Problem:
    """Return an error as data."""
    return Problem(about, error.code, error.what, error.remedy)


def grave(judged: Iterable[VersionFindings]) -> Iterator[VersionFindings]:
    """Yield what has errors or warnings, with those alone: errors first."""
    for each in judged:
        errors, warnings = (
            [finding for finding in each.findings if finding.severity is severity]
            for severity in (Severity.ERROR, Severity.WARNING)
        )
        if errors or warnings:
            yield VersionFindings(each.product, each.version, (*errors, *warnings))


def first_findings(
    found: Iterable[VersionFindings], most: int
) -> tuple[list[VersionFindings], int]:
    """Return the versions with together about `most` findings, and how many findings are left."""
    shown: list[VersionFindings] = []
    count = more = 0
    for each in found:
        if count < most:
            shown.append(each)
            count += len(each.findings)
        else:
            more += len(each.findings)
    return shown, more


def finding_lines(found: Iterable[VersionFindings]) -> Iterator[tuple[Severity, str]]:
    """Put each finding into a line: `PRODUCT VERSION: boot-kernel: what it is [code]`."""
    for each in found:
        for finding in each.findings:
            said = finding_words(finding)
            yield finding.severity, f"{each.product} {each.version}: {said}"


def finding_words(finding: Finding) -> str:
    """Put a finding into words, on one line: others wrote much of it."""
    where = f"{finding.where}: " if finding.where else ""
    return " ".join(f"{where}{finding.message} [{finding.code}]".split())


def version_names(planned: Iterable[Planned]) -> set[str]:
    """Name every version, as `PRODUCT VERSION`."""
    return {
        f"{each.product.name} {version.name}"
        for each in planned
        for version in each.product.versions
    }
