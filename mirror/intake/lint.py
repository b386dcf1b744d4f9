"""Look at an image as if it were to be taken in: with no server, no store and no catalogue."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mirror.images.declaration import Declaration  # noqa: TC001  (msgspec looks at it)
from mirror.intake.look import errors_of, identified, look_into, with_accepted, workshop_settings
from mirror.intake.receive import plain_size
from mirror.isolation.workshop import Workshop
from mirror.model import Finding  # noqa: TC001  (msgspec looks at it)

if TYPE_CHECKING:
    from mirror.images.declaration import Wanted
    from mirror.plugin_manager import Plugins
    from mirror.settings import Settings


class LintReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a file, declared as this image; its `ftype` is '' where none was found.

    `good` says that it can be taken in as it is.
    """

    file: str
    size: int
    declaration: Declaration
    good: bool
    findings: tuple[Finding, ...]


async def lint_image(
    file: Path,
    wanted: Wanted,
    *,
    settings: Settings,
    plugins: Plugins,
    accepted: tuple[str, ...] = (),
) -> LintReport:
    """Return what is wrong with a file, declared as this image.

    Scratch space is where temporary files go (`TMPDIR`). Raises `ImageFileUnusable`, and what a
    plugin's work raises.
    """
    size = await asyncio.to_thread(plain_size, file)
    found = await asyncio.to_thread(identified, file, wanted)
    content: tuple[Finding, ...] = ()
    if found.is_known:
        content = await _content(file, found.declaration, size, settings, plugins, accepted)
    # Of name and type nothing can be accepted: it would be taken in nowhere.
    judged = (*found.findings, *with_accepted(content, accepted))
    return LintReport(
        file=str(file),
        size=size,
        declaration=found.declaration,
        good=not errors_of(judged),
        findings=judged,
    )


async def _content(  # noqa: PLR0917
    file: Path,
    declaration: Declaration,
    size: int,
    settings: Settings,
    plugins: Plugins,
    accepted: tuple[str, ...],
) -> tuple[Finding, ...]:
    real = await asyncio.to_thread(file.resolve)
    with tempfile.TemporaryDirectory(prefix="mirror-lint-") as scratch:
        async with Workshop(
            workshop_settings(settings), plugins, scratch=Path(scratch), readable=(real,)
        ) as workshop:
            inspected = await look_into(
                real,
                declaration,
                "lint",
                sha256="",
                size=size,
                workshop=workshop,
                plugins=plugins,
                accepted=accepted,
            )
    return inspected.findings
