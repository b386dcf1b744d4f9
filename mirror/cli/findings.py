"""How findings are shown, wherever a version is: counts in a table, their text on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mirror.cli.output import print_line, print_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mirror.model import Finding, VersionFindings
    from mirror.service.notices import ReleaseNotice

InFull = Annotated[bool, typer.Option("--findings", help="Print each finding, below the table.")]

MOST = 50
"""Findings of a sync that are printed one by one."""


def tally(findings: Sequence[Finding], judge: str) -> str:
    """Count what was found for a cell of a table: '' where no plugin has looked."""
    from mirror.model import Severity

    counts = [(sum(each.severity is kind for each in findings), kind) for kind in Severity]
    words = [f"{n} {kind}{'' if n == 1 else 's'}" for n, kind in counts if n]
    return ", ".join(words) or ("none" if judge else "")


def print_findings(found: Iterable[VersionFindings]) -> None:
    """Print each finding on a line of its own: `warning: PRODUCT VERSION: ITEM: TEXT [code]`."""
    from mirror.sync.result import finding_lines

    for severity, words in finding_lines(found):
        print_line(f"{severity}: {words}")


def print_first_findings(found: Sequence[VersionFindings], channel: str) -> None:
    """Print the findings of a sync, but not thousands of lines."""
    from mirror.sync.result import first_findings

    shown, more = first_findings(found, MOST)
    print_findings(shown)
    if more:
        print_line(f"and {more} findings more: mirror channel images {channel} --findings")


def point_to_findings(found: Iterable[Sequence[Finding]]) -> None:
    """Say how to see the text of what a table counts, if it counts any."""
    if any(found):
        print_note("what was found in full: the same command with --findings")


def finding_text(finding: Finding, about: str = "") -> str:
    """Put a finding on one line, with how grave it is and, if it is given, what it is about."""
    from mirror.sync.result import finding_words

    said = finding_words(finding)
    return f"{finding.severity}: {about}: {said}" if about else f"{finding.severity}: {said}"


def print_notices(notices: Iterable[ReleaseNotice]) -> None:
    """Print what is to be known of releases, a line for each."""
    from mirror.service.notices import notice_words

    for each in notices:
        print_line(f"{each.severity}: {notice_words(each)}")
