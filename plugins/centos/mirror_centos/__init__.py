"""CentOS images, as MAAS's stream publishes them: one root tarball and its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import hookimpl
from mirror_centos.images import CentosImages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.api import Distribution

requires_api = (1, 0)


@hookimpl
def mirror_distributions() -> Iterable[Distribution]:
    """Return CentOS's images."""
    return [CentosImages()]
