"""A root file system on a disk becomes the archive that GNU tar makes of the same tree."""

from __future__ import annotations

import os
import tarfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from disk_builder import ESP, LVM, MIB, Slice, ext4, fat, gpt, plant, run, xfs
from file_disk import FileDisk
from lvm_builder import Logical, physical
from mirror_custom_images.building.parallel_gzip import ParallelGzip
from mirror_custom_images.building.root_tgz import build_root_tgz
from mirror_custom_images.disks.containers import open_disk

from mirror.api import CUSTOM_CONTENT_ID, BuildOrder, BuildRefused, Finding, Product, Severity
from mirror.formats import FormatError, read_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_custom_images.disks.disk import Disk

PRODUCT = Product(
    name="custom:v1:rhel:9:amd64:generic",
    content_id=CUSTOM_CONTENT_ID,
    attributes={"os": "rhel", "release": "9", "arch": "amd64"},
    versions=(),
)
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
LABEL = b"system_u:object_r:passwd_exec_t:s0\0"
ACL = bytes.fromhex(
    "0200000001000600ffffffff02000400d204000004000400ffffffff10000600ffffffff20000000ffffffff"
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root with all that GNU tar keeps; devices and owners where it is root who asks."""
    folder = plant(
        tmp_path_factory.mktemp("root") / "tree",
        {
            "etc/os-release": "ID=debian\n",
            "etc/machine-id": "0123456789abcdef\n",
            "etc/ssh/ssh_host_rsa_key": "private",
            "etc/ssh/ssh_host_rsa_key.pub": "public",
            "usr/bin/passwd": os.urandom(70_000),
            "usr/bin/ping": os.urandom(4096),
            "var/lib/cloud/instances/i-1/user-data": "#cloud-config",
            "var/log/journal/system.journal": os.urandom(50_000),
            "var/log/wtmp": "x",
            "home/user/" + "n" * 140: "a long name",
            "usr/share/" + "d/" * 60 + "deep": "a long path",
            "empty": "",
        },
        executable=["usr/bin/passwd", "usr/bin/ping"],
    )
    (folder / "bin").symlink_to("usr/bin")
    (folder / "long").symlink_to("t" * 180)
    (folder / "usr/bin/passwd").chmod(0o4755)
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    (folder / "usr/bin/also-passwd").hardlink_to(folder / "usr/bin/passwd")
    (folder / ("usr/share/" + "l" * 120)).hardlink_to(folder / "usr/bin/passwd")
    Path(os.fsdecode(os.fsencode(folder) + b"/usr/share/\xe9t\xe9")).write_bytes(b"latin")
    with (folder / "var/sparse").open("wb") as sparse:
        for number in range(1, 30):
            sparse.seek(number * MIB)
            sparse.write(b"data")
        sparse.truncate(40 * MIB)
    os.utime(folder / "empty", (0, 1_234_567_890))
    if os.geteuid() == 0:
        os.mknod(folder / "usr/null", 0o20666, os.makedev(1, 3))
        os.mknod(folder / "usr/disk", 0o60660, os.makedev(300, 70000))
        os.chown(folder / "home/user", 3_000_000, 70_000)
        os.setxattr(folder / "usr/bin/ping", "security.capability", CAPABILITY)
        os.setxattr(folder / "usr/bin/passwd", "security.selinux", LABEL)
        os.setxattr(folder / "usr/bin/ping", "system.posix_acl_access", ACL)
        os.setxattr(folder / "home/user", "system.posix_acl_default", ACL)
        os.setxattr(folder / "usr/bin/ping", "user.x=y%z", b"a\nb\0c")
    for each in (folder, *folder.rglob("*")):  # mke2fs keeps whole seconds only
        seconds = int(each.lstat().st_mtime)
        os.utime(each, (seconds, seconds), follow_symlinks=False)
    return folder


def build(disk: Disk, out: Path, **options: str) -> tuple[Finding, ...]:
    told: list[tuple[int, int]] = []
    with out.open("wb") as file, ParallelGzip(file) as packed:
        order = BuildOrder(options=options)
        report = lambda done, whole: told.append((done, whole))  # noqa: E731
        found = build_root_tgz(disk, PRODUCT, order, packed, report)
    assert told[-1][0] == told[-1][1]
    return found


def members(archive: Path) -> dict[str, tuple[object, ...]]:
    """Return all that an archive says of each member, but for times of reading and the like."""
    found: dict[str, tuple[object, ...]] = {}
    content: dict[str, bytes] = {}
    links: dict[str, set[str]] = {}
    with tarfile.open(archive) as tar:
        for each in tar:
            stream = tar.extractfile(each) if each.isreg() else None
            first = each.linkname if each.islnk() else each.name
            content[each.name] = stream.read() if stream else content.get(first, b"")
            links.setdefault(first, set()).add(each.name)
            kind = b"0" if each.isreg() or each.islnk() else each.type
            extended = {
                key: value
                for key, value in each.pax_headers.items()
                if key.startswith(("SCHILY", "RHT")) and not each.islnk()
            }
            mine = (kind, each.mode, each.uid, each.gid, each.mtime, content[each.name])
            target = each.linkname if each.issym() else ""
            found[each.name] = (*mine, target, each.devmajor, each.devminor, extended)
    same = {name: frozenset(names) for names in links.values() for name in names}
    return {name: (*value, same[name]) for name, value in found.items()}


def gnu_tar(tree: Path, archive: Path) -> Path:
    keep = ("--xattrs", "--acls", "--selinux", "--numeric-owner", "--format=posix", "--sparse")
    run("tar", *keep, "--sort=name", "-C", tree, "-cf", archive, ".")
    return archive


def alike(ours: Path, theirs: Path) -> None:
    """Compare two archives; an attribute of the first of two linked files is the file's."""
    mine, wanted = members(ours), members(theirs)
    assert mine.keys() == wanted.keys()
    for name, value in wanted.items():
        if len(value[-1]) > 1:  # type: ignore[arg-type]
            assert mine[name][:-2] == value[:-2], name
            assert mine[name][-1] == value[-1], name
        else:
            assert _without_plain_acl(mine[name]) == _without_plain_acl(value), name


def _without_plain_acl(value: tuple[object, ...]) -> tuple[object, ...]:
    """Leave out an ACL that says what the mode says: GNU tar adds it to a directory."""
    extended = value[-2]
    assert isinstance(extended, dict)
    if "SCHILY.xattr.system.posix_acl_access" not in extended:
        extended.pop("SCHILY.acl.access", None)
    return value


@pytest.fixture(scope="module")
def disk_image(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a qcow2, compressed, of a GPT, of an ESP and an ext4."""
    folder = tmp_path_factory.mktemp("disk")
    esp = fat(folder / "esp.img", plant(folder / "esp", {"other": "x"}), 34 * MIB)
    root = ext4(folder / "root.img", tree, 64 * MIB, "-b", "4096")
    raw = gpt(folder / "disk.img", [Slice(esp, ESP), Slice(root)])
    run("qemu-img", "convert", "-c", "-O", "qcow2", raw, folder / "disk.qcow2")
    return folder / "disk.qcow2"


def test_ext4_in_gpt_in_qcow2_becomes_what_tar_makes(
    tree: Path, disk_image: Path, tmp_path: Path
) -> None:
    with open_disk(disk_image, tmp_path) as disk:
        (finding,) = build(disk, tmp_path / "root.tgz")
    assert finding.severity is Severity.NOTE
    assert "/ from partition 2" in finding.message
    alike(tmp_path / "root.tgz", gnu_tar(tree, tmp_path / "gnu.tar"))


def test_curtin_unpacks_all_of_it(tree: Path, disk_image: Path, tmp_path: Path) -> None:
    """Unpacked as curtin does it, and packed again, it is the same tree."""
    with open_disk(disk_image, tmp_path) as disk:
        build(disk, tmp_path / "root.tgz")
    (tmp_path / "target").mkdir()
    how = ("--xattrs", "--xattrs-include=*", "-Sxpzf", tmp_path / "root.tgz", "--numeric-owner")
    run("tar", "-C", tmp_path / "target", *how)
    again = gnu_tar(tmp_path / "target", tmp_path / "again.tar")
    alike(again, gnu_tar(tree, tmp_path / "gnu.tar"))
    assert (tmp_path / "target/var/sparse").stat().st_blocks * 512 < 2 * MIB


def test_bsdtar_and_our_own_reader_read_it(disk_image: Path, tmp_path: Path) -> None:
    with open_disk(disk_image, tmp_path) as disk:
        build(disk, tmp_path / "root.tgz")
    with tarfile.open(tmp_path / "root.tgz") as tar:
        names = [each.name.removeprefix("./") for each in tar]
    listed = run("bsdtar", "-tf", tmp_path / "root.tgz").splitlines()
    assert len(listed) == len(names)
    with (tmp_path / "root.tgz").open("rb") as file:
        ours = [member.name for member, _ in read_archive(file, limit=100 * MIB)]
    assert ours == names


def test_two_builds_are_the_same_bytes(disk_image: Path, tmp_path: Path) -> None:
    with open_disk(disk_image, tmp_path) as disk:
        build(disk, tmp_path / "one")
        build(disk, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_cleaned_of_what_belongs_to_one_machine(disk_image: Path, tmp_path: Path) -> None:
    with open_disk(disk_image, tmp_path) as disk:
        build(disk, tmp_path / "root.tgz", clean="yes")
    with tarfile.open(tmp_path / "root.tgz") as tar:
        sizes = {each.name: each.size for each in tar}
    assert sizes["./etc/machine-id"] == 0
    assert sizes["./var/log/wtmp"] == 0
    assert "./var/log/journal" in sizes
    assert "./var/lib/cloud" in sizes
    gone = [name for name in sizes if "ssh_host" in name or "i-1" in name or "journal/" in name]
    assert not gone
    assert sizes["./usr/bin/ping"] == 4096


def test_a_link_to_what_is_cleaned_away_is_kept_whole(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", {"etc/os-release": "x", "run/first": "content", "bin/x": ""})
    (tree / "second").hardlink_to(tree / "run/first")
    (tree / "third").hardlink_to(tree / "run/first")
    with FileDisk(ext4(tmp_path / "root.img", tree)) as disk:
        build(disk, tmp_path / "root.tgz", clean="yes")
    found = members(tmp_path / "root.tgz")
    assert found["./second"][5] == b"content"
    assert found["./third"][-1] == {"./second", "./third"}
    assert "./run/first" not in found


# --- where things are -----------------------------------------------------------------------------


def _fstab(*lines: str) -> dict[str, bytes | str]:
    return {
        "etc/os-release": "ID=rhel\n",
        "etc/fstab": "# a comment\n\n" + "\n".join(lines) + "\nUUID=1 none swap sw 0 0\n",
        "boot/hidden": "below the mount",
        "boot/efi/hidden": "below the mount",
        "bin/sh": "x",
    }


@contextmanager
def three(tmp_path: Path, *lines: str) -> Iterator[FileDisk]:
    """Open a disk as RHEL has them: an ESP, /boot on XFS, the root."""
    esp = fat(tmp_path / "esp.img", plant(tmp_path / "e", {"EFI/BOOT/BOOTX64.EFI": "loader"}))
    kernel = plant(tmp_path / "b", {"vmlinuz-5.14": "kernel", "efi/below": "below the mount"})
    boot = xfs(tmp_path / "boot.img", kernel, 300 * MIB, "-m", f"uuid={BOOT_UUID}", label="boot")
    root = ext4(tmp_path / "root.img", plant(tmp_path / "t", _fstab(*lines)), label="root")
    slices = [Slice(esp, ESP, name="EFI"), Slice(boot), Slice(root)]
    with FileDisk(gpt(tmp_path / "disk.img", slices)) as disk:
        yield disk


BOOT_UUID = str(uuid.UUID(int=0x1234_5678_9ABC_DEF0_1234_5678_9ABC_DEF0))


@pytest.mark.parametrize(
    "lines",
    [
        (f"UUID={BOOT_UUID.upper()} /boot xfs defaults 0 0", "PARTLABEL=EFI /boot/efi vfat x 0 2"),
        ("LABEL=boot /boot xfs", "/dev/vda1 /boot/efi vfat"),
        (f"/dev/disk/by-uuid/{BOOT_UUID} /boot xfs",),
        ("LABEL=root / ext4 defaults 0 1", "tmpfs /boot tmpfs"),
    ],
)
def test_boot_and_the_esp_are_put_where_they_are_mounted(
    lines: tuple[str, ...], tmp_path: Path
) -> None:
    with three(tmp_path, *lines) as disk:
        (finding,) = build(disk, tmp_path / "root.tgz")
    assert "/boot from partition 2, /boot/efi from partition 1" in finding.message
    found = members(tmp_path / "root.tgz")
    assert found["./boot/vmlinuz-5.14"][5] == b"kernel"
    assert found["./boot/efi/EFI/BOOT/BOOTX64.EFI"][5] == b"loader"
    assert not [name for name in found if "hidden" in name or "below" in name or "lost" in name]


@pytest.mark.slow
def test_a_root_of_logical_volumes_is_put_together(tmp_path: Path) -> None:
    """As the clouds have RHEL: the root on XFS with labels, and another volume for /var/log."""
    files = _fstab("/dev/mapper/vg0-log /var/log ext4 defaults 0 0")
    root = xfs(tmp_path / "root.img", plant(tmp_path / "t", {**files, "var/log/x/below": "x"}))
    run("xfs_db", "-x", "-c", "path /bin/sh", "-c", "attr_set -s -v 30 selinux", root)
    log = ext4(tmp_path / "log.img", plant(tmp_path / "l", {"messages": "m"}))
    volumes = [Logical("log", log, [(0, 4)]), Logical("root", root, [(40, 39), (4, 36)])]
    group = physical(tmp_path / "pv.img", volumes, 340 * MIB)
    disk_file = gpt(tmp_path / "disk.img", [Slice(group, LVM)])
    with FileDisk(disk_file) as disk:
        (finding,) = build(disk, tmp_path / "root.tgz")
    assert "/ from volume vg0/root, /var/log from volume vg0/log" in finding.message
    found = members(tmp_path / "root.tgz")
    assert found["./var/log/messages"][5] == b"m"
    assert "./var/log/x" not in found
    extended = found["./bin/sh"][-2]
    assert isinstance(extended, dict)
    assert len(extended["SCHILY.xattr.security.selinux"]) == 30
    assert "RHT.security.selinux" in extended


def test_what_is_mounted_from_elsewhere_is_told(tmp_path: Path) -> None:
    with three(tmp_path, "LABEL=data /srv ext4 defaults 0 0") as disk:
        _, finding = build(disk, tmp_path / "root.tgz")
    assert finding.code == "custom-images-mount-not-on-disk"
    assert finding.severity is Severity.WARNING
    assert "LABEL=data at /srv" in finding.message


def test_a_mount_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    plain = plant(tmp_path / "t", _fstab("/dev/sda2 /var ext4"))
    root = ext4(tmp_path / "root.img", plain)
    disk_file = gpt(tmp_path / "disk.img", [Slice(root), Slice(size=4 * MIB)])
    with FileDisk(disk_file) as disk, pytest.raises(BuildRefused, match="/var is on partition 2"):
        build(disk, tmp_path / "root.tgz")


def test_two_roots_are_refused_until_one_is_named(tmp_path: Path) -> None:
    for name in ("one", "two"):
        tree = plant(tmp_path / name, {"etc/os-release": name, "bin/sh": "", name: ""})
        ext4(tmp_path / f"{name}.img", tree)
    slices = [Slice(tmp_path / "one.img"), Slice(tmp_path / "two.img")]
    with FileDisk(gpt(tmp_path / "disk.img", slices)) as disk:
        with pytest.raises(BuildRefused) as refused:
            build(disk, tmp_path / "root.tgz")
        assert "root=1, root=2" in refused.value.remedy
        with pytest.raises(BuildRefused, match="no partition or volume '3'"):
            build(disk, tmp_path / "root.tgz", root="3")
        build(disk, tmp_path / "root.tgz", root="2")
    assert "./two" in members(tmp_path / "root.tgz")


def test_no_root_says_what_there_is(tmp_path: Path) -> None:
    esp = fat(tmp_path / "esp.img", plant(tmp_path / "e", {"EFI/x": "x"}))
    data = ext4(tmp_path / "data.img", plant(tmp_path / "t", {"files": "x"}))
    slices = [Slice(esp, ESP), Slice(data), Slice(size=2 * MIB)]
    with FileDisk(gpt(tmp_path / "disk.img", slices)) as disk, pytest.raises(BuildRefused) as no:
        build(disk, tmp_path / "root.tgz")
    assert "partition 2 holds no root; partition 3 is empty" in no.value.what


def test_one_that_was_in_use_is_refused(tmp_path: Path) -> None:
    tree = plant(tmp_path / "t", {"etc/os-release": "", "bin/sh": ""})
    image = ext4(tmp_path / "root.img", tree)
    run("debugfs", "-w", "-R", "feature needs_recovery", image)
    with FileDisk(image) as disk, pytest.raises(BuildRefused, match="was in use"):
        build(disk, tmp_path / "root.tgz")


def test_an_option_that_is_neither_is_refused(disk_image: Path, tmp_path: Path) -> None:
    with open_disk(disk_image, tmp_path) as disk, pytest.raises(BuildRefused, match="clean=maybe"):
        build(disk, tmp_path / "root.tgz", clean="maybe")


@pytest.mark.slow
def test_more_data_than_the_disk_has_is_refused(tmp_path: Path) -> None:
    """Files that share their blocks make an archive of any size out of a small disk."""
    names = [f"file-{number}" for number in range(3)]
    tree = plant(tmp_path / "t", {"etc/os-release": "", "bin/sh": "", **dict.fromkeys(names, "x")})
    image = ext4(tmp_path / "root.img", tree, 160 * MIB, "-b", "4096")
    places = [*range(12), "IND", "DIND", "TIND"]
    words = [4 << 16 | 0xF30A, 4, 0]
    for number in range(4):
        words += [number * 32768, 32768, 100]
    commands = [
        *(
            f"sif {name} block[{at}] {word}"
            for name in names
            for at, word in zip(places, words, strict=True)
        ),
        *(f"sif {name} size {4 * 128 * MIB}" for name in names),
    ]
    (tmp_path / "commands").write_text("\n".join(commands))
    run("debugfs", "-w", "-f", tmp_path / "commands", image)
    with FileDisk(image) as disk, pytest.raises(FormatError, match="more data in its files"):
        build(disk, tmp_path / "root.tgz")
