"""Which files of this machine a request may name.

A boot source names files: keyrings, CA certificates, passwords. On the command line any file that
the user may read will do. Over the network that would let the holder of a token send a file of the
mirror's choice to a server of theirs, as the password, or find out which files there are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import SourceInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.model import BootSource

_FIELDS = ("keyring", "ca_file", "password_file", "proxy_password_file")
_SECRETS = frozenset({"password_file", "proxy_password_file"})
_PUBLIC = (
    Path("/usr/share/keyrings"),
    Path("/etc/apt/keyrings"),
    Path("/etc/ssl/certs"),
    Path("/usr/local/share/ca-certificates"),
)
_OURS = Path("/etc/maas-image-mirror")


def check_files(
    wanted: Mapping[str, object], known: list[BootSource], *, suggested: tuple[str, ...] = ()
) -> None:
    """Raise `SourceInvalid` for a file that a request may not name.

    Allowed are those in the usual places, those that plugins suggest as keyrings, and those that a
    boot source has for the same purpose already: somebody with a shell chose them.
    """
    for field in _FIELDS:
        path = wanted.get(field)
        if not isinstance(path, str) or not path:
            continue
        if any(getattr(source, field) == path for source in known):
            continue
        if field == "keyring" and path in suggested:
            continue
        if not _is_allowed(Path(path), field):
            raise SourceInvalid(
                f"{field} {path!r} is not in a place that a request may name",
                remedy=f"Put the file below {_OURS}/, or name it on the command line "
                "(`mirror source`). A keyring can be sent as keyring_data.",
            )


def fields_of(source: BootSource) -> dict[str, object]:
    """Return a boot source as the fields that a request gives."""
    return msgspec.structs.asdict(source)


def _is_allowed(path: Path, field: str) -> bool:
    places = (_OURS,) if field in _SECRETS else (_OURS, *_PUBLIC)
    # as the file system sees it: neither `..` nor a link leads out
    return path.is_absolute() and any(path.resolve().is_relative_to(each) for each in places)
