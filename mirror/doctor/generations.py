"""What a MAAS of each generation would see of a stream. Pure: a stream's files in, values out.

- MAAS 2.x to 3.4: the region imports through python-simplestreams; its rack controllers take from
  the region what they boot machines with. MAAS 3.5 and 3.6 read the stream in the same way, and
  have no copies on the racks. Both may be pointed at `index-all`, which lists also what MAAS 3.7
  can't parse.
- MAAS 3.7 and later parse the stream themselves, strictly, and know no `index-all`.

What each refuses or ignores is what `lint` says.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mirror.doctor.report import Arch, Generation, Ignored, Offered
from mirror.simplestreams.lint import lint_stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mirror.simplestreams.lint import MaasFinding

METADATA = "streams/v1/"
_INDEX = METADATA + "index.json"
_INDEX_ALL = METADATA + "index-all.json"


class Kind(NamedTuple):
    """One generation of MAAS. `lint` is how the lint calls it."""

    name: str
    lint: str
    reads_all: bool


KINDS = (
    Kind("2.x to 3.4", "<=3.6", reads_all=True),
    Kind("3.5 and 3.6", "<=3.6", reads_all=True),
    Kind("3.7 and later", ">=3.7", reads_all=False),
)

_BOOTLOADERS = {
    "amd64": ("pxe/pxelinux/i386", "uefi/grub-efi-signed/amd64"),
    "i386": ("pxe/pxelinux/i386",),
    "arm64": ("uefi/grub-efi/arm64",),
    "ppc64el": ("open-firmware/grub-ieee1275/ppc64el",),
}
"""Those that MAAS takes from a stream; other architectures boot without one of them."""

_KERNEL = frozenset({"boot-kernel", "boot-initrd"})
_ROOT = frozenset({"squashfs", "root-image.gz"})
_NO_FLAVOUR = "kflavor"
"""A finding on an image that can be deployed, but not commissioned with."""

Document = dict[str, Any]


class _Seen(NamedTuple):
    """A product as a MAAS sees it; `why_not` is '' for one that it takes."""

    name: str
    data: Document
    why_not: str


def generations(files: Mapping[str, bytes], base_url: str) -> list[Generation]:
    """Return what each MAAS would see of a stream: its plain JSON by path, served at `base_url`."""
    plain = {path: data for path, data in files.items() if path.endswith(".json")}
    findings = lint_stream(plain)
    decoded: dict[str, Document] = {path: msgspec.json.decode(data) for path, data in plain.items()}
    return [_generation(kind, decoded, findings, base_url) for kind in KINDS]


def _generation(
    kind: Kind, files: Mapping[str, Document], findings: Iterable[MaasFinding], base_url: str
) -> Generation:
    root = _INDEX_ALL if kind.reads_all and _lists_more(files) else _INDEX
    read = {root, *_targets(files.get(root, {}))}
    mine = [
        each
        for each in findings
        if each.maas in {"all", kind.lint} and (each.where.split(" ")[0] in {"", *read})
    ]
    fails = tuple(dict.fromkeys(_say(each) for each in mine if each.effect == "fails"))
    products = list(_products(kind, files, read, mine))
    taken = [] if fails else [each for each in products if not each.why_not]
    return Generation(
        maas=kind.name,
        url=base_url + (root.replace(".json", ".sjson") if root == _INDEX_ALL else ""),
        offered=tuple(_offered(taken)),
        ignored=tuple(Ignored(each.name, each.why_not) for each in products if each.why_not),
        arches=tuple(_arches(taken)),
        fails=fails,
    )


def _lists_more(files: Mapping[str, Document]) -> bool:
    """Say whether `index-all` leads to anything that `index` does not."""
    return bool(_targets(files.get(_INDEX_ALL, {})) - _targets(files.get(_INDEX, {})))


def _targets(index: Document) -> set[str]:
    return {str(entry.get("path")) for entry in index.get("index", {}).values()}


def _products(
    kind: Kind, files: Mapping[str, Document], read: set[str], findings: Iterable[MaasFinding]
) -> Iterator[_Seen]:
    ignored: dict[str, str] = {}
    for finding in findings:
        path, _, rest = finding.where.partition(" ")
        if finding.effect == "ignores" and path in read and finding.code != _NO_FLAVOUR:
            # of a product as a whole: a version or an item less is no product less
            ignored.setdefault(f"{path} {rest}", finding.message)
    for path in sorted(read & files.keys()):
        for name, product in files[path].get("products", {}).items():
            yield _Seen(name, product, ignored.get(f"{path} {name}", ""))
    if not kind.reads_all:
        for path in sorted(_targets(files.get(_INDEX_ALL, {})) - read):
            for name, product in files.get(path, {}).get("products", {}).items():
                yield _Seen(name, product, "this MAAS can't parse it: it is in index-all only")


def _say(finding: MaasFinding) -> str:
    return f"{finding.where}: {finding.message} [{finding.code}]"


def _offered(products: Iterable[_Seen]) -> Iterator[Offered]:
    versions: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    titles: dict[tuple[str, str], str] = {}
    for _, product, _ in products:
        if "bootloader-type" in product:
            continue
        key = (str(product.get("os", "ubuntu")), str(product.get("release")))
        newest = max(product["versions"])
        arch = str(product["arch"])
        versions[key][arch] = max(newest, versions[key].get(arch, ""))
        titles[key] = str(product.get("release_title") or key[1])
    for os, release in sorted(versions):
        yield Offered(os, release, titles[os, release], dict(sorted(versions[os, release].items())))


def _arches(products: Iterable[_Seen]) -> Iterator[Arch]:
    commissioning: dict[str, set[str]] = defaultdict(set)
    bootloaders: set[str] = set()
    for _, product, _ in products:
        if "bootloader-type" in product:
            bootloaders.add("/".join(str(product[k]) for k in ("bootloader-type", "os", "arch")))
        elif product.get("os", "ubuntu") == "ubuntu":
            releases = commissioning[str(product["arch"])]
            if _can_commission(product):
                releases.add(str(product["release"]))
        else:
            commissioning[str(product["arch"])] |= set()
    for arch, releases in sorted(commissioning.items()):
        needed = _BOOTLOADERS.get(arch, ())
        yield Arch(
            arch,
            tuple(sorted(releases)),
            tuple(each for each in needed if each in bootloaders),
            tuple(each for each in needed if each not in bootloaders),
        )


def _can_commission(product: Document) -> bool:
    """Say whether the version that MAAS takes, the greatest, boots a machine into memory."""
    items = product["versions"][max(product["versions"])].get("items", {})
    whole = items.keys() >= _KERNEL and not _ROOT.isdisjoint(items)
    return whole and bool(product.get("kflavor"))
