"""What the machine that an image was made on has left in it, and every clone would share."""

from __future__ import annotations

import re

from mirror.api import Severity
from mirror_custom_images.checks.rules import Rule, Rules, has, is_not_empty

PLACES = ("etc", "home", "root", "var")


def _has_identity(text: str) -> bool:
    return text.strip() not in {"", "uninitialized"}


_RULES = (
    Rule(
        "machine-id",
        re.compile(r"etc/machine-id|var/lib/dbus/machine-id"),
        "has the identity of one machine, which all would share: empty the file",
        _has_identity,
    ),
    Rule(
        "host-keys",
        re.compile(r"etc/ssh/ssh_host_\w+_key"),
        "is the SSH host key of one machine, which all would share: remove it",
        is_not_empty,
    ),
    Rule(
        "fstab",
        re.compile(r"etc/fstab"),
        "mounts disks of the machine that built the image: empty it, curtin writes it",
        has(r"\s*(?:(?:PART)?UUID=|(?:PART)?LABEL=|/dev/(?!cdrom|sr\d|fd\d|shm))\S*\s+\S"),
    ),
    Rule(
        "persistent-net",
        re.compile(r"etc/udev/rules\.d/7[05]-persistent-net\.rules"),
        "names network cards of the machine that built the image: remove it",
        has(r"\s*[A-Z]+\s*[=!]="),
    ),
    Rule(
        "ifcfg",
        re.compile(
            r"etc/sysconfig/network-scripts/ifcfg-(?!lo$).*"
            r"|etc/sysconfig/network/ifcfg-(?!lo$|template|.*\.template$).*"
            r"|etc/NetworkManager/system-connections/.+"
            r"|etc/netplan/.+\.ya?ml"
        ),
        "sets up the network of the machine that built the image: remove it",
        is_not_empty,
    ),
    Rule(
        "cloud-state",
        re.compile(r"var/lib/cloud/(?:instances?/.+|instance)"),
        "is what cloud-init did on another machine: run cloud-init clean, or empty var/lib/cloud",
    ),
    Rule(
        "history",
        re.compile(r"(?:root|home/[^/]+)/\.(?:bash|zsh|python|mysql|psql)_history"),
        "is what somebody typed, and may hold more than commands: remove it",
        is_not_empty,
        Severity.NOTE,
    ),
)


def leftovers() -> Rules:
    """Return the check."""
    return Rules(PLACES, _RULES)
