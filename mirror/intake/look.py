"""What a file is, and what is wrong with it as an image: for `lint`, and before it is taken in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mirror.errors import ImageTypeWrong, PluginNotLoaded
from mirror.formats import FTYPES, UPLOAD_TYPES, FormatError, identify, stored_type
from mirror.formats import way_out as way_out_of
from mirror.images.declaration import Declaration, Wanted, declared, product_of, root_item
from mirror.images.names import check_names, check_type
from mirror.model import Finding, Severity, Version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mirror.isolation.workshop import Inspected, Workshop
    from mirror.plugin_manager import Plugins
    from mirror.settings import PluginSettings, Settings

AUTO = "auto"
"""In place of a type: whatever the file is."""
DAMAGED = "image-damaged"
"""The code of a finding: it is nothing known, or is cut."""


class Identified(msgspec.Struct, frozen=True):
    """What a file is by its content, as which image it is declared, and what speaks against it."""

    declaration: Declaration
    findings: tuple[Finding, ...] = ()

    @property
    def is_known(self) -> bool:
        """Say whether its content can be looked at: it is of a type that MAAS takes."""
        return self.declaration.ftype in FTYPES


def read_type(word: str) -> str:
    """Return a type as MAAS stores it, for either of its names; '' for `auto` or nothing.

    Raises `ImageTypeWrong`.
    """
    if word in {"", AUTO}:
        return ""
    found = stored_type(word)
    if not found:
        raise ImageTypeWrong(
            f"MAAS knows no type {word!r}; it knows {', '.join((*UPLOAD_TYPES, *FTYPES))}",
            remedy="Choose one of them, or auto: it is found by what is in the file.",
        )
    return found


def identified(file: Path, wanted: Wanted, provider: str = "") -> Identified:
    """Say what a file is, and what the rules of MAAS have against its declaration. Blocks."""
    ftype, trouble = _type_of(file, wanted.ftype)
    declaration = declared(msgspec.structs.replace(wanted, ftype=""), ftype)
    return Identified(declaration, (*trouble, *judged_names(declaration, provider)))


def judged_names(declaration: Declaration, provider: str = "") -> tuple[Finding, ...]:
    """Return what the rules of MAAS have against a declaration, as far as it goes."""
    types = check_type(declaration) if declaration.ftype else ()
    return (*check_names(declaration, provider), *types)


async def look_into(
    file: Path,
    declaration: Declaration,
    version: str,
    *,
    sha256: str,
    size: int,
    workshop: Workshop,
    plugins: Plugins,
    accepted: tuple[str, ...] = (),
) -> Inspected:
    """Let the plugin look into an image, and make its manifest.

    Raises what `Workshop.inspect` does, and `PluginNotLoaded`.
    """
    root = root_item(declaration, version, sha256, size)
    looked_at = Version(version, (root,))
    product = product_of(declaration, (looked_at,))
    distribution = distribution_of(declaration, plugins)
    return await workshop.inspect(
        distribution, product, looked_at, {root.name: file}, accepted=accepted
    )


def distribution_of(declaration: Declaration, plugins: Plugins) -> str:
    """Return which distribution answers for custom images. Raises `PluginNotLoaded`."""
    distribution = plugins.claimant(product_of(declaration))
    if distribution is None:
        raise PluginNotLoaded("no plugin is loaded that knows custom images")
    return distribution.id


def workshop_settings(settings: Settings) -> PluginSettings:
    """Return the limits of a plugin that looks at an image, or builds one."""
    images, plugins = settings.images, settings.plugins
    limits = {
        "time_limit": images.time_limit,
        "disk_limit": max(images.disk_limit, plugins.disk_limit),
        "processes": 1,
    }
    return plugins.model_copy(update=limits)


def with_accepted(findings: Iterable[Finding], accepted: Iterable[str]) -> tuple[Finding, ...]:
    """Return the findings; errors whose codes are accepted are warnings."""
    codes = frozenset(accepted)
    return tuple(
        msgspec.structs.replace(each, severity=Severity.WARNING)
        if each.severity is Severity.ERROR and each.code in codes
        else each
        for each in findings
    )


def errors_of(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the errors among findings."""
    return tuple(each for each in findings if each.severity is Severity.ERROR)


def _type_of(file: Path, said: str) -> tuple[str, tuple[Finding, ...]]:
    """Return the type that a file is of ('': none that MAAS takes), and what is wrong with that."""
    try:
        found = identify(file)
    except FormatError as error:
        return "", (Finding(Severity.ERROR, DAMAGED, "type", f"{file.name} {error}"),)
    if not found.ftype:
        return "", (_error("type-unusable", f"{file.name} is {found}: {way_out_of(found)}"),)
    if said and said != found.ftype:
        what = f"{file.name} was said to be {_named(said)}, and is {found}: {_named(found.ftype)}"
        return found.ftype, (_error("type-differs", f"{what}. Say that, or give the right file"),)
    return found.ftype, ()


def _named(ftype: str) -> str:
    """Name a type both ways, as MAAS does where one is uploaded and where it is stored."""
    word = next((word for word, stored in UPLOAD_TYPES.items() if stored == ftype), "")
    return f"{ftype} ({word})" if word else ftype


def _error(code: str, message: str) -> Finding:
    return Finding(Severity.ERROR, f"image-{code}", "type", message)
