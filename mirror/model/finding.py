"""What checks found, and what went wrong, as data."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How bad a finding is. An `error` quarantines the version that has it."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(msgspec.Struct, frozen=True):
    """Something a check found: a stable `code`, `where` (path, product, item), and what it is."""

    severity: Severity
    code: str
    where: str
    message: str


class VersionFindings(msgspec.Struct, frozen=True):
    """What plugins found in one version of a product."""

    product: str
    version: str
    findings: tuple[Finding, ...]


class Problem(msgspec.Struct, frozen=True):
    """An error as data, and what it is about: a boot source, or a version of a product."""

    about: str
    code: str
    what: str
    remedy: str
