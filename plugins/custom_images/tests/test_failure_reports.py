"""Of each report of a failed deployment: an image with that fault, and the finding that names it.

docs/failed-deployments.md has the table; every row of it is tried here.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from pathlib import Path

import esxi_builder
import pytest
from disk_builder import ESP, LINUX, MIB, Slice, ext4, fat, gpt, plant
from mirror_custom_images.images import CustomImages
from root_builder import debian, put, rhel, tgz, version_of, without
from windows_builder import files, windows_disk

from mirror.images.declaration import Declaration, product_of
from mirror.images.names import check_names
from mirror.testing import artefacts

PAGE = Path(__file__).parents[3] / "docs/failed-deployments.md"
HOOKS = "#!/usr/bin/env python3\n"


def found(name, ftype, file):
    """Return the findings of an image: by code, how bad it is."""
    os, _, release = name.partition("/")
    declaration = Declaration(os=os, release=release, ftype=ftype)
    version, item = version_of(b"", ftype)
    said = CustomImages().validate(product_of(declaration), version, {item.name: file})
    return {each.code: each.severity.value for each in (*check_names(declaration), *said)}


def written(folder, data, name="image"):
    file = folder / name
    file.write_bytes(data)
    return file


def disk(folder, efi=None):
    loader = artefacts.efi_binary("loader", 4096, signed=True)
    esp = fat(folder / "esp", plant(folder / "e", efi or {"EFI/BOOT/BOOTX64.EFI": loader}))
    root = ext4(folder / "root", plant(folder / "r", {"curtin/curtin-hooks": HOOKS}), 8 * MIB)
    return gpt(folder / "disk.raw", [Slice(esp, ESP), Slice(root, LINUX)])


def in_tar(content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("disk.raw")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def ddgz_as_ddtgz(folder):
    data = gzip.compress(disk(folder).read_bytes(), 1)
    return found("custom/ours", "root-dd", written(folder, data))


def ddtgz_as_ddgz(folder):
    data = in_tar(disk(folder).read_bytes())
    return found("custom/ours", "root-dd.gz", written(folder, data))


def raw_windows_as_ddgz(folder):
    return found("windows/win2022", "root-dd.gz", windows_disk(folder, files()))


def root(name, tree):
    def look(folder):
        return found(name, "root-tgz", written(folder, tgz(tree)))

    return look


def vendor_s_loader_only(folder):
    loader = artefacts.efi_binary("loader", 4096, signed=True)
    efi = {"EFI/almalinux/shimx64.efi": loader, "EFI/almalinux/grubx64.efi": loader}
    return found("custom/alma", "root-dd.raw", disk(folder, efi))


def esxi(build, release):
    def look(folder):
        image = esxi_builder.Esxi()
        image.files[5] = esxi_builder.bank(esxi_builder.settings(build))
        return found(f"esxi/{release}", "root-dd.raw", image.write(folder))

    return look


CASES = {
    ("#271", "custom-images-wrong-type"): ddgz_as_ddtgz,
    ("#278", "custom-images-wrong-type"): ddtgz_as_ddgz,
    ("wit#370", "custom-images-wrong-type"): raw_windows_as_ddgz,
    ("#246", "custom-images-unknown-system"): root(
        "custom/mine", put("usr/lib/os-release", "ID=mine\n")(debian())
    ),
    ("#246", "custom-images-no-boot-efi"): root("rhel/9", without("boot/efi")(rhel())),
    ("#100", "custom-images-boot-parts"): root("rhel/9", without("grub")(rhel())),
    ("#213", "custom-images-boot-parts"): root("rhel/9", without("shim", "efibootmgr")(rhel())),
    ("#108", "custom-images-efi-directory"): vendor_s_loader_only,
    ("#299", "custom-images-debian-preseed"): root("custom/debian12", debian()),
    ("#299", "custom-images-no-initramfs"): root(
        "custom/debian12", without("initrd.img")(debian())
    ),
    ("#49", "image-os-not-custom"): root("ubuntu/ours", debian(os_id="ubuntu", codename="noble")),
    ("#23", "custom-images-esxi-same-mac"): esxi("6.5.0-3.126.16207673", "6.5"),
    ("#35", "custom-images-esxi-same-uuid"): esxi("8.0.3-0.24.24022510", "8.0"),
}


def rows():
    """Return the table of the page: (report, code) -> severity."""
    table = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and re.match(r"(wit)?#\d", cells[0]):
            table[cells[0], cells[2].strip("`")] = cells[3]
    return table


def test_every_row_of_the_page_is_tried():
    assert rows().keys() == CASES.keys()


@pytest.mark.parametrize(("report", "code"), CASES)
def test_a_failed_deployment_would_have_been_foreseen(tmp_path, report, code):
    assert CASES[report, code](tmp_path).get(code) == rows()[report, code]


def test_the_good_ones_are_let_be(tmp_path):
    """The faults above are in what was changed, not in what it was changed in."""
    codes = {code for _, code in CASES} - {
        "custom-images-debian-preseed",
        "custom-images-esxi-same-uuid",
    }
    assert not codes & found("custom/ours", "root-dd.raw", disk(tmp_path)).keys()
    assert not codes & root("rhel/9", rhel())(tmp_path).keys()
    assert not codes & root("custom/debian12", debian())(tmp_path).keys()
    assert (
        not codes
        & found("windows/win2022", "root-dd.raw", windows_disk(tmp_path / "w", files())).keys()
    )
    assert not codes & esxi("8.0.3-0.24.24022510", "8.0")(tmp_path).keys()
