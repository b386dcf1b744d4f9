"""What a finding must look like, to be shown to an operator and matched by a script."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirror.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Collection

_LONGEST = 500


def fault_of(finding: object, distribution: str, items: Collection[str]) -> str:
    """Return what is wrong with a finding, in a clause; '' for a good one.

    `items` are those that it may be about; every finding may be about the version as a whole.
    """
    if not isinstance(finding, Finding) or not isinstance(finding.severity, Severity):
        return f"{finding!r} is no Finding with a Severity"
    pattern = rf"{re.escape(distribution)}-[a-z0-9]+([-.][a-z0-9]+)*"
    if not isinstance(finding.code, str) or not re.fullmatch(pattern, finding.code, re.ASCII):
        return f"its code is {finding.code!r}, not like {distribution + '-what-is-wrong'!r}"
    where = str(finding.where)
    if where and where.partition(":")[0] not in items:
        return f"it is about {where!r}, which is no item ({', '.join(items) or 'or nothing'})"
    if not finding.message or not finding.message.isprintable():
        return f"its message is no line of text: {finding.message[:100]!r}"
    if len(finding.message) > _LONGEST:
        return f"its message has {len(finding.message)} letters (limit {_LONGEST})"
    return ""


def errors(findings: Collection[Finding]) -> list[Finding]:
    """Return those that quarantine a version."""
    return [each for each in findings if each.severity is Severity.ERROR]
