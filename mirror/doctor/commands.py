"""The exact commands that point a MAAS at this mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.doctor.report import Generation, Offered

KEYRING = "/usr/share/keyrings/maas-image-mirror.gpg"
SNAP_KEYRING = "/var/snap/maas/common/maas-image-mirror.gpg"
TOKEN = "TOKEN"  # noqa: S105 - stands where the reader's goes


def base_url(server: str, channel: str, *, closed: bool) -> str:
    """Return the address of a channel's stream, with the last slash that old clients need.

    Where reading is closed, a token is part of it: MAAS can present one in no other way.
    """
    prefix = f"/t/{TOKEN}" if closed else ""
    return f"{server.rstrip('/')}{prefix}/images/{channel}/"


def commands(generation: Generation, server: str, *, closed: bool) -> tuple[str, ...]:
    """Return what to run on the region controller, in order; lines with # are for people."""
    return tuple(_commands(generation, server.rstrip("/"), closed=closed))


def _commands(generation: Generation, server: str, *, closed: bool) -> Iterator[str]:
    if closed:
        yield "# on the mirror; put what it prints in place of TOKEN below"
        yield "mirror token create maas --role reader"
    yield "# on each region controller: trust the mirror's key"
    yield f"sudo wget -O {KEYRING} {server}/keys/mirror.gpg"
    yield f"# (MAAS as a snap sees {SNAP_KEYRING}: use that path, also below)"
    if server.startswith("https:"):
        yield "# the certificate must be one that the system trusts: update-ca-certificates"
    yield "# once: use the mirror; then delete the sources that it replaces, by their ids"
    yield (f"maas $PROFILE boot-sources create url={generation.url} keyring_filename={KEYRING}")
    yield "maas $PROFILE boot-sources read"
    yield "maas $PROFILE boot-source delete $OLD_ID"
    for image in generation.offered:
        yield _select(image)
    yield "maas $PROFILE boot-resources import"
    host = urlsplit(server).hostname
    yield f"# where the region uses an HTTP proxy (and put {host} into its no_proxy, if it has one)"
    yield "maas $PROFILE maas set-config name=boot_images_no_proxy value=true"


def _select(image: Offered) -> str:
    arches = "".join(f" arches={arch}" for arch in image.versions)
    return (
        f"maas $PROFILE boot-source-selections create $ID os={image.os} "
        f"release={image.release}{arches} subarches='*' labels='*'"
    )
