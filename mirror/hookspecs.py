"""Every hook that a plugin may implement, with its contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import hookspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror.api import Distribution


@hookspec
def mirror_distributions() -> Iterable[Distribution]:  # type: ignore[empty-body]
    """Return the distributions that the plugin knows.

    Called once, when the plugin is loaded. Two distributions with one id are an error that names
    both plugins.
    """
