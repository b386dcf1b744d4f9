"""Boot sources: where images come from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mirror.errors import NameInvalid, NotFound, SettingsInvalid

if TYPE_CHECKING:
    from mirror.model import BootSource
    from mirror.service.mirror import Mirror

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Sources:
    """The boot sources of one mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def list(self) -> list[BootSource]:
        """Return every boot source, the highest priority first, then by name."""
        return self._mirror.catalog.sources()

    def get(self, name: str) -> BootSource:
        """Return a boot source by name, or raise `NotFound`."""
        for source in self.list():
            if source.name == name:
                return source
        raise NotFound(f"there is no boot source {name!r}")

    def add(self, source: BootSource, *, by: str) -> None:
        """Add a boot source after looking at all of it that can be looked at without the network.

        Raises `NameInvalid`, `SettingsInvalid`, `KeyringMissing`, `KeyringInvalid`,
        `AlreadyExists`.
        """
        _check(source)
        self._mirror.catalog.add_source(source)
        self._mirror.catalog.audit.record(by, "source.add", source.name, None, source)

    def remove(self, name: str, *, by: str) -> None:
        """Remove a boot source; its images leave with the next sync. Raises `NotFound`."""
        before = self.get(name)
        self._mirror.catalog.remove_source(name)
        self._mirror.catalog.audit.record(by, "source.remove", name, before, None)


def _check(source: BootSource) -> None:
    from mirror.signing.verify import Verifier, load_keyring
    from mirror.sync.http import clean_url

    if not _NAME.fullmatch(source.name):
        raise NameInvalid(f"{source.name!r} can't be the name of a boot source")
    clean_url(source.url)
    if source.trust not in {"signed", "none"}:
        raise SettingsInvalid(f"--trust is {source.trust!r}; it may be 'signed' or 'none'")
    if source.trust == "signed":
        if not source.keyring:
            raise SettingsInvalid(
                f"boot source {source.name!r} has no keyring to check its signatures with",
                remedy="Give one with --keyring FILE; only for an unsigned source: --trust none.",
            )
        keyring = load_keyring(Path(source.keyring))
        with Verifier(keyring, source.fingerprints, name=source.name) as verifier:
            verifier.check()
