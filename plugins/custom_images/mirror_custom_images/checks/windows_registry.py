"""What the registry of an offline Windows says: a few values out of its two main hives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pyregf

from mirror.formats import FormatError

if TYPE_CHECKING:
    from mirror_custom_images.filesystems.ntfs import Ntfs

_HIVES = "Windows/System32/config"
_MAX_HIVE = 512 * 1024 * 1024
"""Bytes; SOFTWARE has some 100 MB."""
_MAX_BELOW = 100_000
"""Keys or values in one key; those on our ways have some 700."""
_MAX_TEXT = 300
"""Characters of a value that are kept."""
_RAISED = (OSError, ValueError, OverflowError, MemoryError, SystemError, TypeError, RuntimeError)

_CURRENT = r"Microsoft\Windows NT\CurrentVersion"
_STATE = r"Microsoft\Windows\CurrentVersion\Setup\State"
_TEXT_TYPES = (1, 2)
_NUMBER_TYPE = 4


class Registry(NamedTuple):
    """What was found; '' (or None) is what is not there. `build` is as `20348`."""

    product: str = ""
    edition: str = ""
    build: str = ""
    display_version: str = ""
    image_state: str = ""
    cloudbase_start: int | None = None
    """How the service starts: 2 automatic, 3 by hand, 4 disabled; None: there is no service."""


def read_registry(files: Ntfs) -> tuple[Registry, list[tuple[str, str]]]:
    """Return what the hives say, and which of them can't be read: (path, why)."""
    faults: list[tuple[str, str]] = []
    found: dict[str, Any] = {}
    for name, ask in (("SOFTWARE", _software), ("SYSTEM", _system)):
        path = f"{_HIVES}/{name}"
        try:
            found |= ask(_Hive(files, path))
        except FormatError as error:
            faults.append((path, str(error)))
    return Registry(**found), faults


def _software(hive: _Hive) -> dict[str, Any]:
    build = hive.text(_CURRENT, "CurrentBuildNumber") or hive.text(_CURRENT, "CurrentBuild")
    version = hive.text(_CURRENT, "DisplayVersion") or hive.text(_CURRENT, "ReleaseId")
    return {
        "product": hive.text(_CURRENT, "ProductName"),
        "edition": hive.text(_CURRENT, "EditionID"),
        "build": build,
        "display_version": version,
        "image_state": hive.text(_STATE, "ImageState"),
    }


def _system(hive: _Hive) -> dict[str, Any]:
    current = hive.number("Select", "Current")
    number = current if current is not None and 0 < current < 1000 else 1
    service = rf"ControlSet{number:03d}\Services\cloudbase-init"
    return {"cloudbase_start": hive.number(service, "Start")}


class _Hive:
    """One hive, opened. Whatever the library raises comes out as `FormatError`."""

    def __init__(self, files: Ntfs, path: str) -> None:
        entry = files.find(path)
        if entry is None:
            raise FormatError("is missing")
        if entry.size > _MAX_HIVE:
            raise FormatError(f"has {entry.size:,} bytes, more than any hive")
        self._content = entry.open()
        self._file = pyregf.file()
        try:
            self._file.open_file_object(self._content)
        except _RAISED as error:
            raise FormatError("is no registry hive, or a damaged one") from error

    def text(self, key: str, name: str) -> str:
        """Return a value that is text; '' where there is none."""
        value = self._value(key, name)
        try:
            if value is None or value.type not in _TEXT_TYPES:
                return ""
            text = str(value.get_data_as_string() or "")
        except _RAISED:
            return ""
        # the library's own are not marked as ASCII where they are, and so fail `isascii`
        text = text.encode(errors="replace").decode()
        return text.rstrip("\0")[:_MAX_TEXT]

    def number(self, key: str, name: str) -> int | None:
        """Return a value that is a number; None where there is none."""
        value = self._value(key, name)
        try:
            if value is None or value.type != _NUMBER_TYPE:
                return None
            return int(value.get_data_as_integer())
        except _RAISED:
            return None

    def _value(self, key: str, name: str) -> Any:  # noqa: ANN401  (the library has no types)
        try:
            found = self._key(key)
            if found is None:
                return None
            _check_count(found.number_of_values, key)
            return found.get_value_by_name(name)
        except FormatError:
            raise
        except _RAISED as error:
            raise FormatError(f"is damaged: the key {key} can't be read") from error

    def _key(self, path: str) -> Any:  # noqa: ANN401  (the library has no types)
        """Return the key at a path; None: none. The library looks at all keys on the way."""
        found = self._file.get_root_key()
        for name in path.split("\\"):
            if found is None:
                return None
            _check_count(found.number_of_sub_keys, path)
            found = found.get_sub_key_by_path(name)
        return found


def _check_count(count: int, key: str) -> None:
    if count > _MAX_BELOW:
        raise FormatError(f"is damaged: on the way to {key}, a key has {count:,} below it")
