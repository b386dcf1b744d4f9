"""What each role may do. The API's table of routes names the right that each route needs."""

from __future__ import annotations

from enum import StrEnum

from mirror.model import Role


class Right(StrEnum):
    """One thing that a token may allow."""

    READ_IMAGES = "read-images"
    """Fetch what channels publish, where reading is not open to all."""
    REPORT = "report"
    """Say how a rack is doing, and read what it is to hold."""
    UPLOAD = "upload"
    """Bring in custom images."""
    READ_STATE = "read-state"
    """See sources, selections, jobs, snapshots, channels, plugins and storage."""
    OPERATE = "operate"
    """Change all that: select, sync, publish, roll back, remove."""
    ADMINISTER = "administer"
    """Make and revoke tokens; read the audit log."""


_RIGHTS: dict[Role, frozenset[Right]] = {
    Role.READER: frozenset({Right.READ_IMAGES}),
    Role.RACK: frozenset({Right.READ_IMAGES, Right.REPORT}),
    Role.UPLOADER: frozenset({Right.READ_IMAGES, Right.UPLOAD}),
    Role.OPERATOR: frozenset(Right) - {Right.ADMINISTER},
    Role.ADMIN: frozenset(Right),
}


def allows(role: Role, right: Right) -> bool:
    """Say whether a role has a right."""
    return right in _RIGHTS[role]
