"""Ubuntu's images and the bootloaders that come with them, as MAAS's stream publishes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import hookimpl
from mirror_ubuntu.bootloaders import Bootloaders
from mirror_ubuntu.images import UbuntuImages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.api import Distribution

requires_api = (1, 0)


@hookimpl
def mirror_distributions() -> Iterable[Distribution]:
    """Return Ubuntu's images and its bootloaders."""
    return [UbuntuImages(), Bootloaders()]
