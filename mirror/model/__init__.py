"""The nouns of the mirror, as frozen values.

A *product* (one os/release/arch/kernel) has *versions*; a version has *items* (files). A *boot
source* offers products, a *selection* chooses among them. A *snapshot* names every published path
and the blob behind it; a *channel* points at one snapshot.
"""

from __future__ import annotations

from mirror.model.access import AuditEntry, Role, Token
from mirror.model.finding import Finding, Problem, Severity, VersionFindings
from mirror.model.job import Job, JobState, LogLine, Progress, Schedule
from mirror.model.product import (
    CUSTOM_CONTENT_ID,
    Attributes,
    Item,
    Kind,
    Licence,
    Product,
    Version,
    flatten,
)
from mirror.model.snapshot import FileRef, Pin, Snapshot, SourceState, Switch, View
from mirror.model.source import AvailableImage, BootSource, Selection, SourceStatus
from mirror.model.time import utcnow

__all__ = [
    "CUSTOM_CONTENT_ID",
    "Attributes",
    "AuditEntry",
    "AvailableImage",
    "BootSource",
    "FileRef",
    "Finding",
    "Item",
    "Job",
    "JobState",
    "Kind",
    "Licence",
    "LogLine",
    "Pin",
    "Problem",
    "Product",
    "Progress",
    "Role",
    "Schedule",
    "Selection",
    "Severity",
    "Snapshot",
    "SourceState",
    "SourceStatus",
    "Switch",
    "Token",
    "Version",
    "VersionFindings",
    "View",
    "flatten",
    "utcnow",
]
