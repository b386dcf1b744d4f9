"""The plugin's section of mirror.toml."""

from __future__ import annotations

from typing import Annotated

import msgspec

Days = Annotated[int, msgspec.Meta(ge=0, le=3650)]


class UbuntuSettings(msgspec.Struct, frozen=True):
    """`[plugins.ubuntu]`.

    `warn_days`: how many days before a release's support ends the mirror says so.
    """

    warn_days: Days = 90
