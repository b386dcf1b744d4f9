"""Every finding that the plugin knows: its code, how bad it is, and what it means.

`docs/ubuntu.md` has the same table. An error quarantines an image that somebody waits for: only
what is certainly wrong is one.
"""

from __future__ import annotations

from typing import NamedTuple

from mirror.api import Finding, Severity

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


class Code(NamedTuple):
    """How bad a finding is, and what it means."""

    severity: Severity
    meaning: str


CODES = {
    "ubuntu-boot-kernel": Code(_ERROR, "the kernel is none that is known, cut, or damaged"),
    "ubuntu-kernel-arch": Code(_ERROR, "the kernel is for another architecture"),
    "ubuntu-kernel-flavour": Code(_ERROR, "the kernel's flavour is none that its package has"),
    "ubuntu-kernel-package": Code(
        _WARNING,
        "the kernel does not look like one of its package, which may bring it all the same",
    ),
    "ubuntu-kernel-version": Code(_ERROR, "the kernel's version is not that of its package"),
    "ubuntu-kernel-unlisted": Code(
        _NOTE, "the manifest lists kernels, and not this one (two kernels share one manifest)"
    ),
    "ubuntu-boot-initrd": Code(_ERROR, "the initrd is none, cut, or damaged"),
    "ubuntu-initrd-kernel": Code(_ERROR, "the initrd has modules for other kernels only"),
    "ubuntu-initrd-modules": Code(_WARNING, "the initrd has no modules, or none that can be seen"),
    "ubuntu-boot-dtb": Code(_ERROR, "the device tree is none, or cut"),
    "ubuntu-squashfs": Code(_ERROR, "the squashfs is none, cut, or damaged"),
    "ubuntu-squashfs-appended": Code(_WARNING, "something is behind the squashfs image"),
    "ubuntu-squashfs-compression": Code(
        _WARNING, "the squashfs is compressed in a way that its kernel can't read"
    ),
    "ubuntu-root-image": Code(_ERROR, "the root image is cut, damaged, or holds no ext4"),
    "ubuntu-manifest": Code(_ERROR, "the manifest is a web page, empty, or no text"),
    "ubuntu-manifest-unread": Code(
        _WARNING, "the manifest is a text, but no list of packages as dpkg prints it"
    ),
    "ubuntu-support-ends": Code(_WARNING, "standard support, or ESM, ends soon"),
    "ubuntu-support-ended": Code(_WARNING, "standard support, or ESM, has ended"),
    "bootloaders-archive": Code(
        _ERROR, "the archive can't be read: none, cut, damaged, or too large when unpacked"
    ),
    "bootloaders-member-unsafe": Code(
        _ERROR,
        "a member would harm who unpacks it: it climbs, links out, is a device, or two kinds",
    ),
    "bootloaders-member-link": Code(
        _WARNING, "a member is a link: racks of MAAS take regular files only"
    ),
    "bootloaders-member-twice": Code(_WARNING, "a file is there twice: the last one counts"),
    "bootloaders-member-lacking": Code(_ERROR, "a file without which no machine boots is lacking"),
    "bootloaders-member-wanted": Code(_WARNING, "a file that MAAS asks for is lacking"),
    "bootloaders-member-content": Code(
        _ERROR, "a file that machines ask for is a web page, zeros, empty, or cut"
    ),
    "bootloaders-member-other": Code(
        _WARNING, "another file is not what it seems: damaged, unsigned, or for another machine"
    ),
    "bootloaders-member-kind": Code(_WARNING, "a file is not of the format that it should be of"),
    "bootloaders-member-arch": Code(
        _ERROR, "a file that machines ask for is for another architecture"
    ),
    "bootloaders-unsigned": Code(_ERROR, "what machines boot first has no signature"),
    "bootloaders-clash": Code(_WARNING, "two archives of a version have a file of one name"),
    "bootloaders-ignored": Code(_NOTE, "MAAS takes no bootloader of this kind"),
}


def finding(code: str, where: str, message: str) -> Finding:
    """Return a finding of a code that is known."""
    return Finding(CODES[code].severity, code, where, message)


def shown(text: str) -> str:
    """Return text out of a file as one line that can be printed."""
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")
