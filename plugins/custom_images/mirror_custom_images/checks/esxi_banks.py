"""The boot banks of an ESXi: what a boot.cfg says, and whether all that it names is there.

An installation has two, so that an update goes to the one that it does not run from; a new one has
only the first, and the other is blank (`bootstate=3`, or empty).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirror.api import Finding, Severity
from mirror.formats import FormatError, read_archive
from mirror_custom_images.checks.seen import shown
from mirror_custom_images.filesystems.fat_check import check_fat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirror_custom_images.entries import Entry
    from mirror_custom_images.filesystems.fat import Fat

CONFIG = "boot.cfg"
STATE = "state.tgz"

_MOST_CONFIG = 64 * 1024
"""Bytes; a boot.cfg has some 3,000."""
_MOST_STATE = 512 * 1024**2
"""Bytes that the state of an installation expands to; it has some 100 kB."""
_MOST_NAMED = 5
_BLANK, _BOOTING = 3, 2
_BUILD = re.compile(r"(\d+)\.(\d+)\.(\d+)-")
_INSTALLER = re.compile(r"(?:^|\s)(?:runweasel|ks=\S*)(?=\s|$)")


@dataclass(frozen=True)
class Bank:
    """A boot bank: `number` is of its partition, `settings` what its boot.cfg says (None: none)."""

    number: int
    settings: Mapping[str, str] | None = None
    files: Mapping[str, Entry] = field(default_factory=dict)

    @property
    def build(self) -> str:
        """As `8.0.3-0.24.1`; '' where it is not said."""
        return (self.settings or {}).get("build", "")

    @property
    def version(self) -> tuple[int, ...]:
        """The build's three numbers; () where it has none such."""
        found = _BUILD.match(self.build)
        return tuple(int(number[:9]) for number in found.groups()) if found else ()

    @property
    def is_blank(self) -> bool:
        """Whether nothing is started from it, nor is meant to be."""
        settings = self.settings or {}
        return self.state == _BLANK or not settings.get("kernel")

    @property
    def state(self) -> int:
        """`bootstate`: 0 good, 1 new after an update, 2 was being started, 3 blank."""
        return _number((self.settings or {}).get("bootstate", ""))

    @property
    def order(self) -> int:
        """`updated`: the bank that has more is started."""
        return _number((self.settings or {}).get("updated", ""))

    def named(self) -> list[str]:
        """Return the files that boot.cfg names, as paths in the bank: the kernel first."""
        settings = self.settings or {}
        prefix = settings.get("prefix", "").strip("/")
        words = [settings.get("kernel", ""), *settings.get("modules", "").split("---")]
        paths = [word.split()[0] for word in words if word.split()]
        return [
            path.strip("/") if path.startswith("/") or not prefix else f"{prefix}/{path}"
            for path in paths
        ]

    def finding(self, severity: Severity, code: str, path: str, what: str) -> Finding:
        """Say something of a file in it, or ('') of the bank."""
        where = f"partition {self.number}" + (f": {shown(path)}" if path else "")
        return Finding(severity, f"custom-images-esxi-{code}", where, what)


def read_bank(number: int, fat: Fat) -> Bank:
    """Read a bank. Raises `FormatError` where its file system is damaged."""
    check_fat(fat)
    files = {entry.path.lower(): entry for entry in fat.walk() if entry.kind == "file"}
    config = files.get(CONFIG)
    if config is None:
        return Bank(number, None, files)
    with config.open() as stream:
        return Bank(number, _settings(stream.read(_MOST_CONFIG)), files)


def started(banks: list[Bank]) -> Bank | None:
    """Return the bank that the boot loader takes; None where it finds none."""
    usable = [bank for bank in banks if not bank.is_blank]
    return max(usable, key=lambda bank: (bank.order, -bank.number), default=None)


def check_bank(bank: Bank, *, is_started: bool) -> Iterator[Finding]:
    """Say what is wrong with a bank that is not blank: errors where it is the one that starts."""
    severity = Severity.ERROR if is_started else Severity.WARNING
    yield from _check_settings(bank, severity)
    named = bank.named()
    missing = [path for path in named if path.lower() not in bank.files]
    if missing:
        what = f"{CONFIG} names {_some(missing)}, which the bank does not have: ESXi can't start"
        yield bank.finding(severity, "module-missing", missing[0], what)
    empty = [path for path in named if path not in missing and not bank.files[path.lower()].size]
    if empty:
        what = f"{CONFIG} names {_some(empty)}, which is empty: ESXi can't start"
        yield bank.finding(severity, "module-empty", empty[0], what)
    if STATE not in bank.files and STATE not in map(str.lower, named):
        what = (
            f"there is no {STATE}, which holds what the installation has set, scripts of the "
            "first boot among it: build the image by a full installation"
        )
        yield bank.finding(Severity.WARNING, "no-state", STATE, what)
    elif STATE not in empty and STATE in bank.files:
        yield from _check_state(bank, bank.files[STATE], severity)


def _check_settings(bank: Bank, severity: Severity) -> Iterator[Finding]:
    settings = bank.settings or {}
    if not settings.get("modules"):
        what = f"{CONFIG} names no modules: ESXi can't start from a kernel alone"
        yield bank.finding(severity, "boot-config", CONFIG, what)
    if bank.state == _BOOTING:
        what = (
            f"{CONFIG} says that the bank was being started (bootstate=2) when the image was made: "
            "shut the machine down cleanly before its disk is taken"
        )
        yield bank.finding(Severity.WARNING, "boot-state", CONFIG, what)
    lacking = [key for key in ("kernelopt", "bootstate", "updated") if key not in settings]
    if lacking:
        what = f"{CONFIG} has no {', no '.join(lacking)}, which each installation writes"
        yield bank.finding(Severity.WARNING, "boot-config", CONFIG, what)
    if not bank.version:
        what = f"{CONFIG} does not say which build it is (build=8.0.3-0...): it can't be compared"
        yield bank.finding(Severity.WARNING, "no-build", CONFIG, what)
    if _INSTALLER.search(settings.get("kernelopt", "")):
        what = (
            f"{CONFIG} starts the installer (kernelopt has ks= or runweasel): every machine would "
            "install itself anew; take the disk after the installation"
        )
        yield bank.finding(Severity.WARNING, "installer", CONFIG, what)


def _check_state(bank: Bank, entry: Entry, severity: Severity) -> Iterator[Finding]:
    try:
        with entry.open() as stream:
            for _ in read_archive(stream, limit=_MOST_STATE):
                pass
    except FormatError as error:
        what = f"{STATE} {error}: ESXi starts without what the installation has set"
        yield bank.finding(severity, "state-damaged", STATE, what)


def _settings(data: bytes) -> dict[str, str]:
    lines = data.decode("utf-8", "replace").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - _MOST_NAMED:,} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(map(shown, paths[:_MOST_NAMED])) + more
