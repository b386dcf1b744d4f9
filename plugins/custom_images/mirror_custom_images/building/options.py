"""What a person may ask of a build, besides the file type: `--option shrink=yes`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirror.api import BuildRefused
from mirror_custom_images.building.parallel_gzip import LEVEL, LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHOICES = {
    "clean": ("no", "yes"),
    "gpt": ("mend", "keep"),
    "hooks": ("add", "replace"),
    "level": tuple(map(str, LEVELS)),
    "loader": ("keep", "add"),
    "root": (),
    "shrink": ("no", "yes"),
}
"""The options, with the values that each can have; none: any text."""

OF_DISK = frozenset({"gpt", "hooks", "level", "loader", "shrink"})
OF_ROOT_IN_DISK = frozenset({"clean", "level", "root"})
OF_TREE = frozenset({"hooks", "level"})


@dataclass(frozen=True)
class Options:
    """How an image is to be built: what was said, and what follows where nothing was."""

    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def shrink(self) -> bool:
        """Whether the disk is to end behind its last partition."""
        return self.given.get("shrink") == "yes"

    @property
    def mend(self) -> bool:
        """Whether a GPT that is wrong is to be mended, as it is unless a person says `keep`."""
        return self.given.get("gpt") != "keep"

    @property
    def replace_hooks(self) -> bool:
        """Whether hooks that are in the image already make way."""
        return self.given.get("hooks") == "replace"

    @property
    def add_loader(self) -> bool:
        """Whether a vendor's loader is to be copied to where any firmware looks for one."""
        return self.given.get("loader") == "add"

    @property
    def level(self) -> int:
        """The level of gzip, one of `LEVELS`."""
        return int(self.given.get("level", LEVEL))

    def check_for(self, what: str, known: frozenset[str]) -> None:
        """Raise `BuildRefused` for an option that has no meaning for `what` is made."""
        strange = sorted(self.given.keys() - known)
        if strange:
            raise BuildRefused(
                f"the option {strange[0]} means nothing where {what} is made",
                f"Leave it out; there {_listed(known)} can be said.",
            )


def read_options(given: Mapping[str, str]) -> Options:
    """Understand the options of an order. Raises `BuildRefused` naming those that are known."""
    for name, value in given.items():
        if name not in _CHOICES:
            said = f"there is no option {name[:40]!a}"
            raise BuildRefused(said, f"Known are: {_listed(_CHOICES)}.")
        choices = _CHOICES[name]
        if choices and value not in choices:
            said = f"the option {name} can't be {value[:40]!a}"
            raise BuildRefused(said, f"Say {name}={' or '.join(choices)}.")
    return Options(dict(given))


def _listed(names: Mapping[str, object] | frozenset[str]) -> str:
    return ", ".join(f"{each}={'|'.join(_CHOICES[each]) or 'NAME'}" for each in sorted(names))
