"""What a boot source may be, as far as it can be told without the network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from yarl import URL

from mirror.errors import BodyInvalid, CredentialsInUrl, KeyNotKnown, NameInvalid, SourceInvalid
from mirror.images.names import CUSTOM_SOURCE
from mirror.model import BootSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TRUSTING = ("url", "fallback_urls", "keyring", "keyring_data", "fingerprints", "trust")
"""The fields that say where a stream is and whom to believe."""

Known = tuple[str, bytes]
"""A keyring that the mirror knows: the path of its file ('' for one without), and its bytes."""


def changed(source: BootSource, changes: Mapping[str, object]) -> BootSource:
    """Return the source with other values: fields of `BootSource`, as JSON or as Python has them.

    Raises `BodyInvalid` for a field that there is not, or a value of another type.
    """
    unknown = sorted(set(changes) - set(BootSource.__struct_fields__))
    if unknown:
        raise BodyInvalid(f"a boot source has no field {unknown[0]!r}")
    if changes.get("name", source.name) != source.name:
        raise BodyInvalid(
            f"the name of boot source {source.name!r} can't change",
            remedy="Add it anew under the other name, and remove this one.",
        )
    values = {**msgspec.to_builtins(source), **msgspec.to_builtins(dict(changes))}
    try:
        return msgspec.convert(values, BootSource)
    except msgspec.ValidationError as error:
        raise BodyInvalid(f"boot source {source.name!r}: {error}") from None


def trusts_otherwise(before: BootSource, after: BootSource) -> bool:
    """Say whether a change concerns where the stream is, or whom to believe."""
    return any(getattr(before, field) != getattr(after, field) for field in _TRUSTING)


def checked(source: BootSource, known: Iterable[Known]) -> BootSource:
    """Return the source as it is stored, after looking at each of its values.

    Fingerprints lose their spaces. A source that names keys by fingerprint alone gets the keyring
    of `known` that has them: its file, or else the keys themselves. Blocks: it runs gpg, and reads
    the files that are named. Raises `NameInvalid`, `SourceInvalid`, `CredentialsInUrl`,
    `KeyringMissing`, `KeyringInvalid`, `KeyNotTrusted`, `KeyNotKnown`.
    """
    from mirror.signing.keyring import keyring_of, read_fingerprint
    from mirror.signing.verify import Verifier
    from mirror.sync.http import check_access

    _check_values(source)
    prints = tuple(dict.fromkeys(read_fingerprint(f, source.name) for f in source.fingerprints))
    source = msgspec.structs.replace(source, fingerprints=prints)
    check_access(source)
    if source.trust == "none":
        return source
    if not source.keyring and not source.keyring_data:
        source = _with_known_keyring(source, list(known))
    with Verifier(keyring_of(source), source.fingerprints, name=source.name) as verifier:
        verifier.check()
    return source


def with_any_known_key(source: BootSource, known: Iterable[Known]) -> BootSource:
    """Return the source with a keyring of every key that is known here. Blocks: it runs gpg."""
    from mirror.signing.keyring import take_keys

    return msgspec.structs.replace(source, keyring_data=take_keys([data for _, data in known]))


def _check_values(source: BootSource) -> None:
    if not _NAME.fullmatch(source.name):
        raise NameInvalid(f"{source.name!r} can't be the name of a boot source")
    if source.name == CUSTOM_SOURCE:
        raise NameInvalid(
            f"no boot source can be called {CUSTOM_SOURCE!r}: that is where your own images are",
            remedy="Choose another name.",
        )
    for url in (source.url, *source.fallback_urls):
        _check_url(source.name, url)
    _check_no_credentials(source.name, source.proxy)
    _check_credentials(source)
    if source.trust not in {"signed", "none"}:
        raise _invalid(source, f"trust is {source.trust!r}; it may be 'signed' or 'none'")
    if source.keyring and source.keyring_data:
        raise _invalid(source, "it has a keyring file and a keyring as text; give one of them")
    if source.bandwidth < 0 or source.max_staleness.total_seconds() < 0:
        raise _invalid(source, "bandwidth and max_staleness can't be less than 0")


def _check_url(name: str, url: str) -> None:
    from mirror.sync.urls import clean_url, show_url

    _check_no_credentials(name, url)
    parsed = clean_url(url)
    if parsed.raw_query_string or parsed.raw_fragment:
        raise SourceInvalid(
            f"source {name}: {show_url(url.partition('?')[0].partition('#')[0])} is followed by a "
            "query or fragment, which would not be sent"
        )


def _check_no_credentials(name: str, url: str) -> None:
    from mirror.sync.urls import show_url

    try:
        parsed = URL(url)
    except ValueError:
        return  # it is refused for what it is elsewhere
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise CredentialsInUrl(f"source {name}: {show_url(url)} was given with a user or password")


def _check_credentials(source: BootSource) -> None:
    schemes = {URL(url).scheme for url in (source.url, *source.fallback_urls)}
    if source.username and len(schemes) > 1:
        raise _invalid(
            source, "its password would go over https to one address, and in the clear to another"
        )
    if source.password_file and not source.username:
        raise _invalid(source, "it has a password file and no user name")
    if source.proxy_password_file and not source.proxy_username:
        raise _invalid(source, "it has a password file for the proxy and no user name")


def _with_known_keyring(source: BootSource, known: list[Known]) -> BootSource:
    """Find the keys that are named by fingerprint only: best in one file, which is read anew."""
    from mirror.signing.keyring import keys_of, take_keys

    if not source.fingerprints:
        raise _invalid(
            source,
            "it has no keyring to check its signatures with",
            remedy="Give one with --keyring FILE, or --fingerprint of a key that the mirror knows; "
            "only for an unsigned source: --trust none.",
        )
    holds = [
        (path, data, {f for f in source.fingerprints if any(key.has(f) for key in keys_of(data))})
        for path, data in known
    ]
    missing = set(source.fingerprints).difference(*(found for _, _, found in holds))
    if missing:
        raise KeyNotKnown(f"source {source.name}: no keyring known here has {min(missing)}")
    for path, _, found in holds:
        if path and len(found) == len(source.fingerprints):
            return msgspec.structs.replace(source, keyring=path)
    taken = take_keys([data for _, data, found in holds if found], source.fingerprints)
    return msgspec.structs.replace(source, keyring_data=taken)


def _invalid(source: BootSource, what: str, remedy: str = "") -> SourceInvalid:
    return SourceInvalid(f"source {source.name}: {what}", remedy=remedy)
