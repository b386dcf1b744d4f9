"""What the lint says: one value a finding."""

from __future__ import annotations

from typing import Literal

import msgspec

Maas = Literal["<=3.6", ">=3.7", "all"]
Effect = Literal["fails", "ignores"]


class MaasFinding(msgspec.Struct, frozen=True):
    """What a generation of MAAS makes of one thing in a stream.

    `fails`: the import of the whole boot source fails, or picks wrong data. `ignores`: that thing
    is skipped. `code` is stable; `where` is the file, then the product, version and item.
    """

    maas: Maas
    effect: Effect
    code: str
    where: str
    message: str
