"""The names of CentOS's releases in MAAS, their titles, and when their support ends.

MAAS takes `centos` with a major and a minor number and a title behind it (`centos66`, `centos70`,
`centos8-stream`); its own stream names the newest ones by the number alone (`8`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirror.api import Product

_NUMBER = re.compile(r"(?:centos)?[-.]?(\d{1,4})(?!\d)", re.IGNORECASE)
_LONG_MAJORS = ("10",)
"""Majors of two digits; in any other name the second digit is the minor."""

LAST_DAYS = {
    (6, False): date(2020, 11, 30),
    (7, False): date(2024, 6, 30),
    (8, False): date(2021, 12, 31),
    (8, True): date(2024, 5, 31),
    (9, True): date(2027, 5, 31),
}
"""(major, whether it is Stream) -> the last day of support, as the CentOS project announced it."""


@dataclass(frozen=True)
class Release:
    """What the name of a release says; `major` is 0 where it says nothing."""

    major: int
    stream: bool

    @property
    def title(self) -> str:
        """The name for a person: `CentOS 8 Stream`."""
        number = f" {self.major}" if self.major else ""
        return f"CentOS{number}{' Stream' if self.stream else ''}"


def release_of(product: Product) -> Release:
    """Read the release of a product, out of its name in MAAS or else its version."""
    words = [product.release, str(product.attributes.get("version", ""))]
    major = next((number for number in map(_major, words) if number), 0)
    title = str(product.attributes.get("release_title", ""))
    # There is no CentOS 9 but Stream, whatever it is called.
    stream = major >= 9 or any("stream" in each.lower() for each in (*words, title))
    return Release(major, stream)


def last_day(product: Product) -> date | None:
    """Return the last day of support: as announced, or else as the boot source says.

    The project ended CentOS 8 years before the date that MAAS's stream has for it.
    """
    release = release_of(product)
    return LAST_DAYS.get((release.major, release.stream)) or said_last_day(product)


def said_last_day(product: Product) -> date | None:
    """Return the end of support that the boot source says, if it says any."""
    try:
        return date.fromisoformat(str(product.attributes.get("support_eol", "")))
    except ValueError:
        return None


def _major(name: str) -> int:
    found = _NUMBER.match(name)
    if not found:
        return 0
    digits = found[1]
    return int(digits[:2] if digits.startswith(_LONG_MAJORS) else digits[0])
