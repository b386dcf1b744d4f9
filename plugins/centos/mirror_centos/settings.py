"""What an operator can set: `[plugins.centos]` of mirror.toml."""

from __future__ import annotations

from typing import Annotated

import msgspec


class CentosSettings(msgspec.Struct, frozen=True):
    """`warn_days`: how many days before the end of a release's support a warning begins."""

    warn_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 90
