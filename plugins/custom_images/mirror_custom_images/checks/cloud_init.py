"""Whether a deployed machine will speak to MAAS: cloud-init, and that it may look for MAAS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.api import Finding
    from mirror_custom_images.checks.seen import Image, Seen

_OF_MAAS = "90_maas_datasource.cfg"
"""The file in etc/cloud/cloud.cfg.d in which MAAS says that it is the source; later ones win."""
_LIST = re.compile(r"^[^\S\n]*datasource_list\s*:\s*(.*(?:\n\s*-.*)*)", re.MULTILINE)
_OF_CURTIN = "50-curtin-networking.cfg"
"""The file in there in which curtin sets up the network."""
_NO_NETWORK = re.compile(
    r"^[^\S\n]*network\s*:\s*(?:\{\s*)?config\s*:\s*[\"']?disabled", re.MULTILINE
)
_MOST = 16


class CloudInit:
    """Sees the configuration of cloud-init, and the modules of Python that matter."""

    places = ("bin", "etc", "lib", "opt")

    def __init__(self) -> None:
        self._there = False
        self._source = self._sources = False
        self._oauthlib = False
        self._disabled = False
        self._without: list[str] = []
        self._offline: list[str] = []

    def see(self, seen: Seen) -> None:
        """Take a program, a module or a file of settings."""
        path = seen.path
        if path.startswith("etc/cloud/"):
            self._see_settings(seen, path)
        elif path == "bin/cloud-init":
            self._there = True
        elif "-packages/oauthlib" in path:
            self._oauthlib = True
        elif "-packages/cloudinit/" in path:
            self._there = True
            if "/sources/DataSource" in path:
                self._sources = True
                self._source |= "/sources/DataSourceMAAS.py" in path

    def _see_settings(self, seen: Seen, path: str) -> None:
        if path == "etc/cloud/cloud-init.disabled":
            self._disabled = True
        elif path.endswith(".cfg") and path.startswith("etc/cloud/cloud.cfg.d/"):
            name = path.rpartition("/")[2]
            if name > _OF_MAAS and len(self._without) < _MOST and _forbids_maas(seen.text()):
                self._without.append(path)
            if name > _OF_CURTIN and len(self._offline) < _MOST:
                self._offline += [path] if _NO_NETWORK.search(seen.text()) else []

    def findings(self, image: Image) -> Iterator[Finding]:
        """Say what keeps a machine from telling MAAS that it is deployed."""
        if not self._there:
            what = "there is no cloud-init: a machine gets no keys and no user data, and MAAS"
            yield image.warning("no-cloud-init", "", f"{what} never hears that it is deployed")
            return
        if self._disabled:
            what = "cloud-init is disabled by this file: remove it"
            yield image.warning("cloud-init-disabled", "etc/cloud/cloud-init.disabled", what)
        if self._sources and not self._source:
            what = "cloud-init is there, but without its DataSourceMAAS: it can't ask MAAS"
            yield image.warning("no-datasource", "", what)
        for path in self._without:
            what = f"sets datasource_list without MAAS, and is read after {_OF_MAAS}"
            yield image.warning("no-datasource", path, f"{what}: remove that line")
        for path in self._offline:
            what = f"turns the network of cloud-init off, and is read after {_OF_CURTIN}"
            yield image.warning("network-disabled", path, f"{what}: remove the file")
        if not self._oauthlib:
            what = "there is no oauthlib for Python (python3-oauthlib), with which cloud-init signs"
            yield image.warning("no-oauthlib", "", f"{what} what it asks MAAS: install it")


def _forbids_maas(text: str) -> bool:
    lines = (each.partition("#")[0] for each in text.splitlines())
    found = _LIST.search("\n".join(lines))
    return found is not None and "MAAS" not in found[1] and bool(found[1].strip())
