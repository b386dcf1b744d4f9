"""What is to be taken in, as the options of a job; and what came of it, as its result."""

from __future__ import annotations

import msgspec

from mirror.images.declaration import Declaration, Wanted  # noqa: TC001  (msgspec reads it)
from mirror.images.records import ImageVersion, MadeFrom  # noqa: TC001  (msgspec reads it)
from mirror.sync.result import SyncResult  # noqa: TC001  (msgspec reads it)


class Building(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is made an image: curtin hooks to put in ('': none), and the plugin's options."""

    hooks: str = ""
    options: dict[str, str] = {}


class TakeOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A file to take in as an image.

    `sha256` and `size` are what its giver says that it is ('', None: nothing). With `ours`, it lies
    in the mirror's `incoming`, nobody writes to it, and it is moved, not copied; `known` is its
    digest then, where that was computed. With `building`, an image is made of it first;
    `made_from` says from what it was, where that is done already. `accept` has the codes of
    findings that the operator takes on. `keep` is how many versions to hold (0: as it was). With
    `licence_stays`, who gives the file may not change the licence that the image has already.
    """

    file: str
    wanted: Wanted
    channel: str = "stable"
    by: str = ""
    sha256: str = ""
    size: int | None = None
    ours: bool = False
    known: str = ""
    building: Building | None = None
    made_from: MadeFrom | None = None
    keep: int = 0
    accept: tuple[str, ...] = ()
    licence_stays: bool = False
    publish: bool = True


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken in. `is_new` is False where the newest version was this very file already.

    `published` is the sync that published it; None: none was asked for.
    """

    product: str
    declaration: Declaration
    version: ImageVersion
    is_new: bool
    published: SyncResult | None = None

    @property
    def exit_status(self) -> int:
        """Return 0 when all was done, 3 when it is not published as it was meant to be."""
        return self.published.exit_status if self.published else 0
