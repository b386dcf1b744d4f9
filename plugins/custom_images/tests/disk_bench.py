"""What tests of whole disks share: a bench that makes one of parts, and what is found on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003  (dataclass)
from typing import TYPE_CHECKING

from disk_builder import ESP, LINUX, MIB, Slice, ext4, fat, gpt, plant
from file_disk import FileDisk
from mirror_custom_images.checks.disk_image import look

from mirror.api import Finding, Item, Product
from mirror.images.declaration import Declaration, product_of
from mirror.testing import artefacts

if TYPE_CHECKING:
    import root_builder

ERROR, WARNING, NOTE = "error", "warning", "note"
HOOKS = "#!/usr/bin/env python3\nprint('hooks')\n"
LOADER = artefacts.efi_binary("loader", 4096, signed=True)
FALLBACK = "EFI/BOOT/BOOTX64.EFI"
ITEM = Item("root-dd.gz", "root-dd.gz", "custom/x/root-dd.gz", "0" * 64, 1)


def product(name: str = "custom/ours", arch: str = "amd64") -> Product:
    os_name, _, release = name.partition("/")
    return product_of(Declaration(os=os_name, release=release, arch=arch, ftype="root-dd.gz"))


def codes(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(each.severity.value, each.code.removeprefix("custom-images-")) for each in findings}


def of(findings: list[Finding], code: str) -> Finding:
    (found,) = [each for each in findings if each.code == f"custom-images-{code}"]
    return found


def look_at(disk: Path, name: str = "custom/ours", arch: str = "amd64") -> list[Finding]:
    with FileDisk(disk) as opened:
        return list(look(product(name, arch), ITEM, opened))


# --- what disks are made of -----------------------------------------------------------------------


@dataclass
class Bench:
    """Makes the parts of a disk, each in a file of its own."""

    folder: Path
    made: int = field(default=0)

    def file(self) -> Path:
        self.made += 1
        return self.folder / f"part{self.made}"

    def tree(self, files: dict[str, bytes | str], executable: tuple[str, ...] = ()) -> Path:
        return plant(self.folder / f"tree{self.made}-{len(files)}", files, executable)

    def esp(self, files: dict[str, bytes | str] | None = None) -> Slice:
        file = self.file()
        tree = self.tree({FALLBACK: LOADER} if files is None else files)
        return Slice(fat(file, tree), ESP, name="EFI")

    def root(self, files: dict[str, bytes | str] | None = None, **how) -> Slice:
        file = self.file()
        files = {"curtin/curtin-hooks": HOOKS} if files is None else files
        executable = how.pop("executable", ("curtin/curtin-hooks",))
        return Slice(ext4(file, self.tree(files, executable)), LINUX)

    def linux(self, tree: root_builder.Tree, hooks: str = HOOKS, size: int = 16 * MIB) -> Slice:
        """Make the root file system of a distribution."""
        file = self.file()
        folder = plant(file.with_suffix(".root"), {"curtin/curtin-hooks": hooks})
        for path, node in tree.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if node.kind == "dir":
                place.mkdir(exist_ok=True)
            elif node.kind == "symlink":
                place.symlink_to(node.target)
            else:
                place.write_bytes(node.content)
                place.chmod(node.mode)
        (folder / "curtin/curtin-hooks").chmod(0o755)
        return Slice(ext4(file, folder, size), LINUX)

    def disk(self, *slices: Slice, boot_code: bool = True) -> Path:
        disk = gpt(self.folder / "disk", slices)
        if boot_code:
            self.start(disk)
        return disk

    @staticmethod
    def start(disk: Path) -> None:
        with disk.open("r+b") as opened:
            opened.write(b"\xeb\x63\x90")
