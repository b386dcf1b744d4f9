"""Boot sources: where images come from."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import DefaultKeyringMissing, KeyNotTrusted, MirrorError, NotFound
from mirror.model import BootSource, SourceStatus, utcnow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirror.api import SourceDefault
    from mirror.service.mirror import Mirror
    from mirror.service.source_report import SourceReport
    from mirror.service.source_rules import Known


_UNNAMED = "this-url"
"""What a boot source is called that is tried before it has a name."""


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

    def checked(self, source: BootSource) -> BootSource:
        """Return a boot source as `add` would store it, and store nothing. Raises what it raises.

        Blocks: it runs gpg, and reads the files that are named.
        """
        from mirror.service.source_rules import checked

        return checked(source, self._known())

    def add(self, source: BootSource, *, by: str) -> BootSource:
        """Add a boot source after looking at all of it that can be looked at without the network.

        Returns it as it is stored: with its fingerprints in one form, and with the keyring that was
        found where it named a key by fingerprint alone. Raises what `source_rules.checked` raises,
        and `AlreadyExists`.
        """
        stored = self.checked(source)
        self._mirror.catalog.add_source(stored)
        self._mirror.catalog.audit.record(by, "source.add", stored.name, None, stored)
        return stored

    def update(self, name: str, changes: Mapping[str, object], *, by: str) -> BootSource:
        """Change fields of a boot source, and return it; nothing is changed if one can't be.

        `changes` are fields of `BootSource`, as JSON or as Python has them. Where the stream is
        looked for, or who is believed, changes: the next sync reads all of it. What was seen of the
        source stays remembered, also under another URL: who can move a source can't make it forget.
        Raises `NotFound`, `BodyInvalid` and what `add` raises.
        """
        from mirror.catalog import SourceMemory
        from mirror.service.source_rules import changed, trusts_otherwise

        catalog = self._mirror.catalog
        before = self.get(name)
        after = self.checked(changed(before, changes))
        if after == before:
            return before
        catalog.update_source(after)
        if trusts_otherwise(before, after):
            catalog.remember({name: SourceMemory(seen=catalog.memory(name).seen)})
        catalog.audit.record(by, "source.update", name, before, after)
        return after

    def remove(self, name: str, *, by: str) -> None:
        """Remove a boot source; its images leave with the next sync. Raises `NotFound`.

        What was seen of it is forgotten: a source of the same name begins anew.
        """
        before = self.get(name)
        self._mirror.catalog.remove_source(name)
        self._mirror.catalog.audit.record(by, "source.remove", name, before, None)

    # --- what plugins suggest ---------------------------------------------------------------------

    def defaults(self) -> Sequence[SourceDefault]:
        """Return the boot sources that plugins suggest, by name."""
        found: dict[str, SourceDefault] = {}
        for distribution in self._mirror.plugins.distributions:
            with suppress(Exception):  # foreign code: what it can't suggest, it does not suggest
                found |= {each.name: each for each in distribution.default_sources()}
        return [found[name] for name in sorted(found)]

    def from_default(self, name: str, changes: Mapping[str, object] = {}) -> BootSource:
        """Return a boot source that a plugin suggests, with changes, to be added.

        Raises `NotFound`; `DefaultKeyringMissing`, which says how to get the keyring, when it is
        not on this machine and `changes` bring no other; `BodyInvalid`.
        """
        from mirror.service.source_rules import changed

        default = next((each for each in self.defaults() if each.name == name), None)
        if default is None:
            raise NotFound(
                f"no plugin suggests a boot source {name!r}",
                remedy="`mirror source defaults` lists those that there are.",
            )
        own = {key: value for key, value in changes.items() if key != "name"}
        keyring = default.keyring
        if own.keys() & {"keyring", "keyring_data", "fingerprints"} or own.get("trust") == "none":
            keyring = ""
        elif not Path(keyring).is_file():
            raise _no_keyring(default)
        called = str(changes.get("name", default.name))
        return changed(BootSource(name=called, url=default.url, keyring=keyring), own)

    # --- how they are -----------------------------------------------------------------------------

    def to_try(self, url: str, changes: Mapping[str, object] = {}) -> BootSource:
        """Return a boot source for `check` that nobody added: with every key known, unless given.

        Raises `BodyInvalid`; `SourceInvalid` when no key is known.
        """
        from mirror.service.source_rules import changed, with_any_known_key

        source = changed(BootSource(name=_UNNAMED, url=url), changes)
        given = source.keyring or source.keyring_data or source.fingerprints
        if given or source.trust == "none":
            return source
        return with_any_known_key(source, self._known())

    async def check(self, source: BootSource) -> SourceReport:
        """Read a source's stream now, from each of its addresses, and say what there is.

        Nothing is stored, and the source need not have been added; of one that has been, what was
        seen before counts. Raises what is wrong with it if no address answers with a stream that
        can be believed.
        """
        import asyncio

        from mirror.service.source_report import report

        stored = await asyncio.to_thread(self.checked, source)
        memory = await asyncio.to_thread(self._mirror.catalog.memory, source.name)
        stall = self._mirror.settings.sync.stall_timeout.total_seconds()
        try:
            return await report(stored, memory, stall=stall)
        except KeyNotTrusted as error:
            if source.name == _UNNAMED:
                error.remedy = (
                    "Get this key from its publisher, compare all of its fingerprint with what the "
                    "publisher says it is, and give it with --keyring FILE."
                )
            raise

    def state(self, name: str) -> SourceStatus:
        """Return how a boot source was when it was last read. Raises `NotFound`."""
        source = self.get(name)
        return _with_state(source, self._mirror.catalog.statuses.all().get(name))

    def states(self) -> dict[str, SourceStatus]:
        """Return the same of every boot source, by name, in the order of `list`."""
        known = self._mirror.catalog.statuses.all()
        return {each.name: _with_state(each, known.get(each.name)) for each in self.list()}

    def _known(self) -> Iterator[Known]:
        """Find the keyrings that are known; one that can't be read now is known no more."""
        from mirror.signing.keyring import decode_keyring, load_keyring

        sources = self.list()
        files = [each.keyring for each in self.defaults()]
        files += [each.keyring for each in sources if each.keyring]
        for file in dict.fromkeys(files):
            with suppress(MirrorError):
                yield file, load_keyring(Path(file))
        for source in sources:
            with suppress(MirrorError):
                if source.keyring_data:
                    yield "", decode_keyring(source.keyring_data)
        with suppress(MirrorError):
            yield "", self._mirror.key.public_binary()


def _with_state(source: BootSource, status: SourceStatus | None) -> SourceStatus:
    status = status or SourceStatus(name=source.name)
    return msgspec.structs.replace(status, state=_state(source, status))


def _state(source: BootSource, status: SourceStatus) -> str:
    if not source.enabled:
        return "disabled"
    if status.checked is None:
        return "unread"
    if status.problem is not None:
        return "failing"
    age = utcnow() - status.updated if status.updated else None
    return "stale" if age and source.max_staleness and age > source.max_staleness else "good"


def _no_keyring(default: SourceDefault) -> DefaultKeyringMissing:
    ways = []
    if default.package:
        ways.append(f"install the package {default.package} (`apt install {default.package}`)")
    if default.fingerprints:
        key = default.fingerprints[0]
        ways.append(
            f"get the key {key} from a keyserver and trust it by its fingerprint: "
            f"`gpg --recv-keys {key} && gpg --export {key} > FILE`, then add "
            f"`--keyring FILE --fingerprint {key}`"
        )
    ways.append("give another keyring with --keyring FILE")
    said = "; or ".join(ways)
    return DefaultKeyringMissing(
        f"source {default.name}: its keyring {default.keyring} is not on this machine",
        remedy=said[0].upper() + said[1:] + ".",
    )
