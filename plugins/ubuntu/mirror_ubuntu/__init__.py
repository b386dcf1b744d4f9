"""Ubuntu's images and the bootloaders that come with them, as MAAS's stream publishes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import hookimpl
from mirror_ubuntu.bootloaders import Bootloaders
from mirror_ubuntu.images import UbuntuImages
from mirror_ubuntu.settings import UbuntuSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.api import Distribution, PluginContext

requires_api = (1, 0)


@hookimpl
def mirror_settings() -> type[UbuntuSettings]:
    """Return the type of `[plugins.ubuntu]`."""
    return UbuntuSettings


@hookimpl
def mirror_distributions(context: PluginContext) -> Iterable[Distribution]:
    """Return Ubuntu's images and its bootloaders."""
    settings = context.settings or UbuntuSettings()
    return [UbuntuImages(settings), Bootloaders()]
