"""Take an image in: each step may fail, and nothing is there before the last one.

    copy and hash -> identify -> names -> look into it (confined) -> store and write down

What is left of one that was interrupted lies in `incoming`, and is swept by age.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import (
    DigestMismatch,
    ImageNameRefused,
    ImageRefused,
    ImageTooLarge,
    ImageTypeWrong,
    SizeMismatch,
)
from mirror.images.records import all_images, as_before
from mirror.intake.build import build_for, built_from
from mirror.intake.keep import Good, following_version, keep_image, same_again
from mirror.intake.look import (
    DAMAGED,
    errors_of,
    identified,
    look_into,
    with_accepted,
    workshop_settings,
)
from mirror.intake.receive import Digested, plain_size, receive
from mirror.isolation.workshop import Workshop
from mirror.model import Finding  # noqa: TC001
from mirror.store.space import require_space
from mirror.sync.events import Note
from mirror.sync.result import finding_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mirror.api import Built
    from mirror.images.declaration import Declaration
    from mirror.images.records import MadeFrom
    from mirror.intake.look import Identified
    from mirror.intake.order import Taken, TakeOrder
    from mirror.sync.events import Emit
    from mirror.sync.situation import Tools

_MOST_SAID = 20
"""Findings that an error lists."""


async def take_in(
    order: TakeOrder, tools: Tools, provider: Callable[[str, str], str], emit: Emit
) -> Taken:
    """Take an image in; it is published by whoever asked for it.

    `provider` names the boot source that provides an os and release, or ''. Raises `ImageError`s,
    `DigestMismatch`, `SizeMismatch`, `NoSpace`, and what a plugin's work raises.
    """
    return await _Intake(order, tools, provider, emit).run()


def check_room(size: int, tools: Tools) -> None:
    """Raise `ImageTooLarge` or `NoSpace` where a file of this size is not to be taken in."""
    images = tools.settings.images
    if size > images.max_size:
        raise ImageTooLarge(f"{size:,} bytes are more than an image may have: {images.max_size:,}")
    held = bytes_held(tools) if images.quota else 0
    if images.quota and held + size > images.quota:
        raise ImageTooLarge(
            f"{size:,} bytes do not fit: {held:,} of the quota of {images.quota:,} are taken"
        )
    require_space(tools.store.incoming.root, size, int(tools.settings.store.min_free))


def bytes_held(tools: Tools) -> int:
    """Return the bytes of all versions of all images."""
    return sum(each.bytes for image in all_images(tools.catalog) for each in image.versions)


class _Intake:
    """One image on its way in."""

    def __init__(
        self, order: TakeOrder, tools: Tools, provider: Callable[[str, str], str], emit: Emit
    ) -> None:
        self._order = order
        self._tools = tools
        self._provider = provider
        self._emit = emit

    async def run(self) -> Taken:
        with self._tools.store.incoming.scratch() as scratch:
            if self._order.building is not None:
                return await self._from_build(scratch)
            file = Path(self._order.file)
            taken = await self._from_file(file, scratch)
            if self._order.ours:  # not before: what was interrupted is begun again with it
                await asyncio.to_thread(file.unlink, missing_ok=True)
            return taken

    # --- where the image is from ------------------------------------------------------------------

    async def _from_file(self, file: Path, scratch: Path) -> Taken:
        size = await asyncio.to_thread(plain_size, file)
        if not self._order.ours:
            await asyncio.to_thread(check_room, size, self._tools)
            # before all of it is copied: what is wrong at a glance
            await self._identified(file, said=False)
        received, done = await self._received(file, size, scratch)
        made_from = self._order.made_from
        return await self._finish(received, done, scratch=scratch, made_from=made_from)

    async def _from_build(self, scratch: Path) -> Taken:
        order, tools = self._order, self._tools
        source = Path(order.file)
        await asyncio.to_thread(check_room, 0, tools)
        from_this = asyncio.create_task(built_from(source, order))
        try:
            self._say(f"building an image of {source.name}")
            built = await build_for(
                order,
                scratch / "build",
                plugins=tools.plugins,
                settings=tools.settings,
                private=(tools.store.dir.root,),
                emit=self._emit,
            )
            made_from = await from_this
        finally:
            from_this.cancel()
        size = await asyncio.to_thread(plain_size, built.file)
        await asyncio.to_thread(check_room, size, tools)
        done = await self._digest(built.file)
        self._order = msgspec.structs.replace(
            order, wanted=msgspec.structs.replace(order.wanted, ftype=""), sha256="", size=None
        )
        return await self._finish(
            built.file, done, scratch=scratch, built=built, made_from=made_from
        )

    async def _received(self, file: Path, size: int, scratch: Path) -> tuple[Path, Digested]:
        order = self._order
        if order.size is not None and order.size != size:
            raise SizeMismatch(
                f"{file.name} has {size:,} bytes, and was said to have {order.size:,}"
            )
        if not order.ours:
            self._say(f"copying {file.name}")
            target = scratch / "image"
            most = int(self._tools.settings.images.max_size)
            done = await receive(file, target, most, self._emit)
        else:
            target = await asyncio.to_thread(_linked, file, scratch / "image")
            done = Digested(order.known, size) if order.known else await self._digest(file)
        if order.sha256 and order.sha256.lower() != done.sha256:
            raise DigestMismatch(
                f"{file.name} has the sha256 {done.sha256}, and was said to have {order.sha256}",
                remedy="Get the file anew, or give the digest that it has.",
            )
        return target, done

    async def _digest(self, file: Path) -> Digested:
        return await receive(file, None, int(self._tools.settings.images.max_size), self._emit)

    # --- what it is, and what is in it ------------------------------------------------------------

    async def _finish(
        self,
        file: Path,
        done: Digested,
        *,
        scratch: Path,
        built: Built | None = None,
        made_from: MadeFrom | None = None,
    ) -> Taken:
        found = await self._identified(file, said=True)
        declaration = found.declaration
        tools, order = self._tools, self._order
        again = await asyncio.to_thread(same_again, declaration, done.sha256, order, tools)
        if again is not None:
            self._say(f"{declaration.name} {again.version.name} is this very file already")
            return again
        self._say(f"looking into {declaration.name}")
        work = scratch / "work"
        await asyncio.to_thread(work.mkdir)
        async with self._workshop(work, file) as workshop:
            inspected = await look_into(
                file,
                declaration,
                following_version(declaration, tools),
                sha256=done.sha256,
                size=done.size,
                workshop=workshop,
                plugins=tools.plugins,
                accepted=order.accept,
            )
            said = built.findings if built else ()
            judged = self._judged(declaration, (*found.findings, *said, *inspected.findings))
            attributes = built.attributes if built else {}
            good = Good(declaration, done, judged, made_from, attributes)
            taken = await asyncio.to_thread(keep_image, file, good, inspected, order, tools)
        self._say(f"{declaration.name} has a new version: {taken.version.name}")
        return taken

    async def _identified(self, file: Path, *, said: bool) -> Identified:
        """Say what a file is. Raises `ImageTypeWrong`, `ImageNameRefused`, `ImageRefused`."""
        order, catalog = self._order, self._tools.catalog
        wanted = await asyncio.to_thread(
            as_before, order.wanted, catalog, licence_stays=order.licence_stays
        )
        found = await asyncio.to_thread(identified, file, wanted)
        provider = self._provider(found.declaration.os, found.declaration.release)
        if provider:
            found = await asyncio.to_thread(identified, file, wanted, provider)
        errors = errors_of(found.findings)
        if any(each.code == DAMAGED for each in errors):
            raise ImageRefused(_listed(errors), remedy="Get the file anew, and try again.")
        wrong_type = [each for each in errors if each.where == "type" and not _is_rule(each)]
        if wrong_type:
            raise ImageTypeWrong(_listed(wrong_type))
        if errors:
            raise ImageNameRefused(_listed(errors))
        if said:
            self._say(f"it is a {found.declaration.ftype}")
        return found

    def _judged(
        self, declaration: Declaration, findings: tuple[Finding, ...]
    ) -> tuple[Finding, ...]:
        """Return the findings, with those accepted as warnings. Raises `ImageRefused`."""
        judged = with_accepted(findings, self._order.accept)
        errors = errors_of(judged)
        if errors:
            raise ImageRefused(f"{declaration.name}: {_listed(errors)}")
        return judged

    def _workshop(self, work: Path, file: Path) -> Workshop:
        tools = self._tools
        return Workshop(
            workshop_settings(tools.settings),
            tools.plugins,
            scratch=work,
            readable=(file.resolve(),),
            private=(tools.store.dir.root,),
        )

    def _say(self, message: str) -> None:
        self._emit(Note(message))


def _linked(file: Path, target: Path) -> Path:
    """Give a file that is ours a second name, by which it is moved; return that."""
    try:
        target.hardlink_to(file)
    except OSError:  # a file system without such names
        return file
    return target


def _is_rule(finding: Finding) -> bool:
    """Say whether it is about what MAAS deploys, not about what the file is."""
    return finding.code == "image-type-not-deployed"


def _listed(errors: Iterable[Finding]) -> str:
    listed = [finding_words(each) for each in errors]
    more = f"; and {len(listed) - _MOST_SAID} more" if len(listed) > _MOST_SAID else ""
    return "; ".join(listed[:_MOST_SAID]) + more
