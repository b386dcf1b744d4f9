"""CentOS images, as MAAS's stream publishes them: one root tarball and its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import hookimpl
from mirror_centos.images import CentosImages
from mirror_centos.settings import CentosSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.api import Distribution, PluginContext

requires_api = (1, 0)


@hookimpl
def mirror_settings() -> type[CentosSettings]:
    """Return the type of `[plugins.centos]`."""
    return CentosSettings


@hookimpl
def mirror_distributions(context: PluginContext) -> Iterable[Distribution]:
    """Return CentOS's images."""
    return [CentosImages(context.settings or CentosSettings())]
