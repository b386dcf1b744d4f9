"""What speaks to MAAS in a Windows image, and what was left in it that should not be passed on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mirror.api import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_custom_images.checks.windows import Volume
    from mirror_custom_images.checks.windows_registry import Registry
    from mirror_custom_images.entries import Entry

_CLOUDBASE = "Program Files/Cloudbase Solutions/Cloudbase-Init"
_CONFIG = f"{_CLOUDBASE}/conf/cloudbase-init.conf"
_MAAS_SERVICE = "maashttpservice"
_DISABLED = 4

_ANSWERS = (
    "Autounattend.xml",
    "Unattend.xml",
    "Windows/Panther/Unattend.xml",
    "Windows/Panther/Unattend/Unattend.xml",
    "Windows/System32/Sysprep/Unattend.xml",
    "Windows/System32/Sysprep/Panther/Unattend.xml",
)
"""Where Windows looks for answers, and leaves copies of them."""

_MAX_TEXT = 1 << 20
# White space that was passed is not tried again (`*+`), or a file full of it would take hours.
_PASSWORD = re.compile(
    r"<(?:\w{1,40}:)?\w{0,40}password\b[^<>]*>\s*+"
    r"(?:<(?:\w{1,40}:)?value\b[^<>]*>)?(?P<value>[^<]*+)<",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"<(?:\w{1,40}:)?(?:ProductKey|Key)\b[^<>]*>\s*+(?:[A-Z0-9]{5}-){4}[A-Z0-9]{5}\s*<",
    re.IGNORECASE,
)
_DELETED = "*SENSITIVE*DATA*DELETED*"


def cloudbase_findings(volume: Volume, registry: Registry) -> Iterator[Finding]:
    """Yield whether a deployed machine will report to MAAS, and do what users ask."""
    if volume.files.find(_CLOUDBASE) is None:
        message = (
            "Cloudbase-Init is not installed: nothing tells MAAS that the machine is up, and it "
            "fails as timed out; install it, as packer-maas does"
        )
        yield volume.finding(Severity.WARNING, "no-cloudbase-init", _CLOUDBASE, message)
        return
    config = volume.files.find(_CONFIG)
    if config is None:
        message = "its configuration is missing, to which MAAS's hook adds the machine's own"
        yield volume.finding(Severity.WARNING, "no-cloudbase-conf", _CONFIG, message)
    elif _MAAS_SERVICE not in _text(config).lower():
        message = (
            "metadata_services does not name MAAS's: "
            "cloudbaseinit.metadata.services.maasservice.MaaSHttpService"
        )
        yield volume.finding(Severity.WARNING, "no-maas-service", _CONFIG, message)
    if registry.cloudbase_start == _DISABLED:
        message = "the service cloudbase-init is disabled: set it to start automatically"
        yield volume.finding(Severity.WARNING, "cloudbase-init-disabled", _CONFIG, message)
    names = {entry.path.rpartition("/")[2].lower() for entry in volume.files.list("curtin")}
    if names and not names & {"finalize", "finalize.py"}:
        message = (
            "curtin/finalize is not there: nothing hands MAAS's credentials and network to "
            "Cloudbase-Init; take the directory from packer-maas/windows"
        )
        yield volume.finding(Severity.WARNING, "no-finalize", "curtin", message)


def secret_findings(volume: Volume) -> Iterator[Finding]:
    """Yield what answer files give away. No password and no key is ever quoted."""
    for path in _ANSWERS:
        entry = volume.files.find(path)
        if entry is None or entry.kind != "file":
            continue
        text = _text(entry)
        if any(_is_secret(each["value"]) for each in _PASSWORD.finditer(text)):
            message = (
                f"{path} has a password in it, in plain text or as good as that: whoever deploys "
                "the image can read it; delete the file before sysprep, or let the password expire"
            )
            yield volume.finding(Severity.WARNING, "password", path, message)
        if _KEY.search(text):
            message = (
                f"{path} has a product key in it: MAAS hands the key over per machine "
                "(license_key), it need not be in the image"
            )
            yield volume.finding(Severity.WARNING, "product-key", path, message)


def _is_secret(value: str) -> bool:
    said = value.strip()
    return bool(said) and said != _DELETED


def _text(entry: Entry) -> str:
    """Return what a file says, in whichever encoding Windows wrote it."""
    data = entry.open().read(_MAX_TEXT)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8-sig", errors="replace")
