"""Secrets in an image that whoever can deploy it could read. None is ever quoted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirror.api import Severity
from mirror_custom_images.checks.rules import Rule, Rules, has, is_not_empty
from mirror_custom_images.checks.seen import Image, Seen, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Finding

PLACES = ("etc", "home", "root", "var")
_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_MOST_KEY = 64 << 10
"""Bytes of a file that is searched for keys."""
_HOST_KEY = re.compile(r"etc/ssh/ssh_host_\w+_key")
_SUBSCRIPTION = re.compile(r"etc/pki/(?:consumer|entitlement)/")
_LOCKED = ("!", "*")
_MOST_USERS = 5

_RULES = (
    Rule(
        "subscription",
        re.compile(r"etc/pki/(?:consumer|entitlement)/[^/]+\.pem|etc/sysconfig/rhn/systemid"),
        "is a subscription of Red Hat's, which every machine would use: unregister before packing",
    ),
    Rule(
        "subscription",
        re.compile(
            r"etc/zypp/credentials\.d/SCCcredentials"
            r"|var/lib/ubuntu-advantage/private/machine-token\.json"
        ),
        "is a registration, which every machine would use: unregister before packing",
        is_not_empty,
    ),
    Rule(
        "proxy",
        re.compile(r"etc/apt/apt\.conf(?:\.d/[^/]+)?"),
        "sends apt through the builder's proxy: remove that line; MAAS gives machines their own",
        has(r"(?!\s*(?://|#))(?>.*?\bproxy\b).*\w://"),
    ),
    Rule(
        "proxy",
        re.compile(r"etc/(?:yum\.conf|dnf/dnf\.conf|yum\.repos\.d/[^/]+|zypp/repos\.d/[^/]+)"),
        "sends the package manager through the builder's proxy: remove that line",
        has(r"\s*proxy\s*=\s*\w+://"),
    ),
    Rule(
        "proxy",
        re.compile(r"etc/(?:environment|profile|wgetrc|sysconfig/proxy|profile\.d/[^/]+)"),
        "sends programs through the builder's proxy: remove that line",
        has(r"\s*(?:export\s+)?\"?(?:https?|ftp|all)_proxy\"?\s*=\s*[\"']?\w+://"),
    ),
    Rule(
        "authorized-keys",
        re.compile(r"(?:root|home/[^/]+)/\.ssh/authorized_keys2?"),
        "lets the builder's key into every machine: remove it; MAAS puts the user's there",
        has(r"\s*[^#\s]"),
    ),
    Rule(
        "password",
        re.compile(r"root/[^/]+\.(?:cfg|ks)"),
        "is a kickstart with a password in plain text: remove it",
        has(r"\s*(?:rootpw\b(?!.*--(?:iscrypted|lock))\s+\S|(?:rootpw|user)\b.*--plaintext)"),
    ),
    Rule(
        "password",
        re.compile(r"etc/cloud/.+\.cfg"),
        "sets a password in plain text: remove it",
        has(r"\s*(?:-\s*)?(?:plain_text_passwd|password)\s*:\s*[\"']?[^\s\"'#*!$]"),
    ),
    Rule(
        "password",
        re.compile(
            r"(?:root|home/[^/]+)/\.(?:netrc|pgpass|git-credentials|aws/credentials|my\.cnf)"
        ),
        "is where programs keep passwords: remove it",
        is_not_empty,
    ),
)


def secrets() -> Rules:
    """Return the check of what has a place that is known."""
    return Rules(PLACES, _RULES)


class Accounts:
    """Sees /etc/shadow."""

    places = ("etc",)

    def __init__(self) -> None:
        self._open: list[str] = []
        self._known: list[str] = []

    def see(self, seen: Seen) -> None:
        """Take the names of those who have a password, or need none."""
        if seen.path != "etc/shadow":
            return
        for line in seen.text().splitlines():
            name, colon, rest = line.partition(":")
            password = rest.partition(":")[0]
            if not colon or not name or password.startswith(_LOCKED):
                continue
            (self._known if password else self._open).append(name)

    def findings(self, image: Image) -> Iterator[Finding]:
        """Say who could log in with a password that the builder knows, or with none."""
        if self._open:
            what = f"{_some(self._open)} can log in without any password: lock the account"
            yield image.warning("no-password", "etc/shadow", what)
        if "root" in self._known:
            what = "root has a password, the same on every machine: lock it (passwd --lock root)"
            yield image.warning("root-password", "etc/shadow", what)
        others = [each for each in self._known if each != "root"]
        if others:
            what = f"{_some(others)} have a password, the same on every machine: lock it"
            yield image.warning("password", "etc/shadow", what)


class PrivateKeys:
    """Sees small files below /etc and in homes, and looks for keys in the forms of PEM."""

    places = ("etc", "home", "root")

    def __init__(self) -> None:
        self._found: list[str] = []
        self._count = 0

    def see(self, seen: Seen) -> None:
        """Search a file."""
        entry = seen.entry
        if entry.kind != "file" or not 0 < entry.size <= _MOST_KEY:
            return
        if _HOST_KEY.fullmatch(seen.path) or _SUBSCRIPTION.match(seen.path):
            return  # said already
        if _KEY.search(seen.head(_MOST_KEY)):
            self._count += 1
            if not self._found:
                self._found.append(seen.path)

    def findings(self, image: Image) -> Iterator[Finding]:
        """Say where the first one is."""
        for path in self._found:
            more = f" ({self._count - 1:,} more are like it)" if self._count > 1 else ""
            what = f"{shown(path)} holds a private key, which every machine would share: remove it"
            yield image.finding(Severity.WARNING, "private-key", path, what + more)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_USERS} more" if len(names) > _MOST_USERS else ""
    return ", ".join(map(shown, names[:_MOST_USERS])) + more
