"""Which Windows it is, whether that is what its name says, and whether it is ready to be copied."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirror.api import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Product
    from mirror_custom_images.checks.windows import Volume
    from mirror_custom_images.checks.windows_registry import Registry

GENERALISED = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"

_BUILDS = {
    "2008r2": (7600, 7601),
    "2012": (9200, 9200),
    "2012r2": (9600, 9600),
    "2016": (14393, 14393),
    "2019": (17763, 17763),
    "2022": (20348, 20348),
    "2025": (26100, 26100),
    "8": (9200, 9200),
    "8.1": (9600, 9600),
    "10": (10240, 19999),
    "11": (22000, 29999),
}
"""The builds of each release, first and last: Microsoft's tables of release information."""

_NAME = re.compile(r"win(?P<server>20\d\d)(?:hv)?(?P<r2>r2)?|win(?P<client>8\.1|81|8|10|11)")
_SOFTWARE = "Windows/System32/config/SOFTWARE"
_STATES = {
    "IMAGE_STATE_COMPLETE": "it is an installed system that was not generalised",
    "IMAGE_STATE_UNDEPLOYABLE": "setup did not finish on it",
    "IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE": "it is specialised: it is one machine's already",
    "IMAGE_STATE_SPECIALIZE_RESEAL_TO_AUDIT": "it is in audit mode, and specialised",
    "IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT": "it will start into audit mode, and wait there",
}


def release_findings(volume: Volume, registry: Registry, product: Product) -> Iterator[Finding]:
    """Yield whether the image is the Windows that it is named as."""
    if registry.product or registry.build:
        said = " ".join(filter(None, (registry.product, registry.display_version)))
        message = f"it is {said or 'a Windows'}, build {registry.build or 'unknown'}"
        yield volume.finding(Severity.NOTE, "release", _SOFTWARE, message)
    wanted = release_of(product.release)
    build = int(registry.build) if registry.build.isascii() and registry.build.isdigit() else 0
    if wanted in _BUILDS and build:
        first, last = _BUILDS[wanted]
        if not first <= build <= last:
            is_it = next((name for name, (a, z) in _BUILDS.items() if a <= build <= z), "another")
            message = (
                f"the image is to be {product.release}, and the Windows on it has build {build}, "
                f"which is {is_it}: give it the name of what it is"
            )
            yield volume.finding(Severity.ERROR, "wrong-release", _SOFTWARE, message)
    if registry.edition.lower().endswith("eval"):
        days = 180 if "server" in registry.edition.lower() else 90
        message = (
            f"it is an evaluation edition ({registry.edition[:60]}): machines shut down by "
            f"themselves some {days} days after they are deployed, unless they get a licence "
            "(slmgr, DISM /Set-Edition)"
        )
        yield volume.finding(Severity.WARNING, "evaluation", _SOFTWARE, message)


def release_of(name: str) -> str:
    """Return the release that an image's name stands for (`2022`, `10`); '' where none does."""
    found = _NAME.match(name.lower())
    if found is None:
        return ""
    if found["client"]:
        return {"81": "8.1"}.get(found["client"], found["client"])
    return found["server"] + (found["r2"] or "")


def state_findings(volume: Volume, registry: Registry) -> Iterator[Finding]:
    """Yield whether sysprep has made it ready to be copied to many machines."""
    state = registry.image_state
    if state == GENERALISED:
        return
    if not state:
        message = "the registry does not say whether sysprep has generalised it: ImageState"
        yield volume.finding(Severity.WARNING, "state-unknown", _SOFTWARE, message)
        return
    why = _STATES.get(state, f"its state is {state[:60]!r}")
    message = (
        f"{why}: every machine would have the same identity, and not ask what it is to be; run "
        "sysprep /generalize /oobe /shutdown last"
    )
    yield volume.finding(Severity.WARNING, "not-generalised", _SOFTWARE, message)
