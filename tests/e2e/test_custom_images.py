"""A disk with Debian on it becomes images that MAAS takes, and other programs agree on what is in.

GNU tar says what the root file system holds, qemu-img what the disk does.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile

import pytest
from commands import Commands
from debian_disk import MIB, ROOT_AT, build_disk, pack
from debian_upstream import missing, run

from mirror.simplestreams.lint import lint_stream
from mirror.store.store import Store
from mirror.testing.sstream import mirrored_files, sstream_mirror
from mirror.testing.tools import tool

NAME = ("--name", "custom/debian12")
HELD_BY_FAT = "./boot/efi/"
OTHER_TIMES = (".", "./boot/efi")
"""mke2fs makes lost+found in one; on the other, the root of the ESP is mounted: it has no time."""
ATTRIBUTES = ("SCHILY.", "RHT.")


@pytest.fixture(scope="module")
def debian_disk(debian_cache):
    lacking = missing()
    assert not lacking, f"make e2e needs {'; '.join(lacking)}"
    return build_disk(debian_cache)


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    commands = Commands(tmp_path_factory.mktemp("mirror") / "data")
    done = commands("init", "--name", "custom images")
    assert done.status == 0, done.errors
    return commands


@pytest.fixture(scope="module")
def built(mirror, debian_disk, tmp_path_factory):
    """Both images, each written by a command: of the root, and of the disk."""
    folder = tmp_path_factory.mktemp("built")
    files = {"tgz": folder / "debian.tgz", "ddgz": folder / "debian.dd.gz"}
    for kind, file in files.items():
        how = ("--type", kind, "--output", str(file), "--json")
        told = mirror("image", "build", str(debian_disk.qcow2), *NAME, *how).json()
        assert [each for each in told["findings"] if each["severity"] != "note"] == []
    return files


# --- what is in it --------------------------------------------------------------------------------


def test_the_root_is_what_gnu_tar_makes_of_it(built, debian_disk):
    wanted, ours = members(debian_disk.tar), members(built["tgz"])
    of_esp = {name for name in ours if name.startswith(HELD_BY_FAT)}
    assert len(wanted) > 10_000
    assert ours.keys() - of_esp == wanted.keys()
    assert without_acl_text(ours, wanted) == without_acl_text(wanted, wanted)
    names = ("./etc/ssh/sshd_config", "./home", "./usr/bin/ping")
    assert all(wanted[name]["attributes"] for name in names)
    kinds = {said["type"] for said in wanted.values()}
    assert {tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE} <= kinds
    assert any(len(said["names"]) > 1 for said in wanted.values())


def test_the_esp_is_mounted_in_it(built, debian_disk):
    found = {
        name.removeprefix(HELD_BY_FAT): said["content"]
        for name, said in members(built["tgz"]).items()
        if name.startswith(HELD_BY_FAT) and said["type"] == tarfile.REGTYPE
    }
    esp = {
        file.relative_to(debian_disk.esp).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in debian_disk.esp.rglob("*")
        if file.is_file()
    }
    assert found == esp


def test_curtin_unpacks_it(built, debian_disk, tmp_path):
    """Unpacked as curtin does it, the tree is the one that the disk was made of."""
    how = ("--xattrs", "--xattrs-include=*", "-Sxpzf", built["tgz"], "--numeric-owner")
    target = tmp_path / "target"
    target.mkdir()
    run("tar", "-C", target, *how, f"--exclude={HELD_BY_FAT}*")
    again = members(pack(target, tmp_path / "again.tar"))
    assert again == members(debian_disk.tar)
    assert run("chroot", target, "dpkg", "--verify", "cloud-init", "openssh-server") == ""


def test_the_disk_is_what_qemu_makes_of_it(built, debian_disk, tmp_path):
    raw = tmp_path / "disk.raw"
    run(tool("qemu-img"), "convert", "-O", "raw", debian_disk.qcow2, raw)
    with gzip.open(built["ddgz"]) as ours, raw.open("rb") as theirs:
        assert raw.stat().st_size > 512 * MIB
        while wanted := theirs.read(4 * MIB):
            assert ours.read(4 * MIB) == wanted
        assert ours.read(1) == b""


# --- what becomes of it ---------------------------------------------------------------------------


def test_it_is_published_and_a_foreign_client_takes_it(mirror, debian_disk, built, tmp_path):
    taken = mirror("image", "build", str(debian_disk.qcow2), *NAME, "--json").json()
    disk = mirror("image", "add", str(built["ddgz"]), "--name", "custom/debian12-disk", "--json")
    root, disk_root = (each["version"]["items"][0] for each in (taken, disk.json()))
    assert (root["ftype"], disk_root["ftype"]) == ("root-tgz", "root-dd.gz")
    assert root["sha256"] == digest(built["tgz"])
    key = tmp_path / "key.gpg"
    assert mirror("key", "export", "--output", str(key)).status == 0
    with mirror.serving() as base:
        # MAAS itself takes no product of `custom` from a stream: these are for other clients
        url = f"{base}/images/stable/streams/v1/index-all.sjson"
        outcome = sstream_mirror(url, tmp_path / "out", keyring=key)
        assert outcome.status == 0, outcome.errors
    got = dict(mirrored_files(tmp_path / "out").values())
    assert {sha256: got.get(sha256) for sha256 in (root["sha256"], disk_root["sha256"])} == {
        each["sha256"]: each["size"] for each in (root, disk_root)
    }
    said = {(each.effect, each.code) for each in lint_stream(documents(mirror))}
    assert said == {("ignores", "os-custom")}  # as the comment above has it, and nothing else


def documents(mirror):
    """Return the metadata that is published, by path."""
    store = Store.open(mirror.data_dir)
    snapshot = store.snapshots.load(store.channels.current("stable"))
    return {
        path: store.blobs.path(ref.sha256).read_bytes()
        for path, ref in snapshot.files.items()
        if path.startswith("streams/") and path.endswith(".json")
    }


# --- what is wrong with it ------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "told"), [("tgz", {"custom-images-fstab"}), ("ddgz", set())])
def test_nothing_is_wrong_with_a_good_one(kind, told, mirror, built):
    """An etc/fstab that suits the disk is for the disk: curtin partitions another for the root."""
    report = lint(mirror, built[kind])
    assert report["good"]
    assert found_in(report, "error") == {}
    assert found_in(report, "warning").keys() == told


@pytest.mark.parametrize("kind", ["tgz", "ddgz"])
def test_the_wrong_architecture_is_named(kind, mirror, built):
    report = lint(mirror, built[kind], "--arch", "arm64/generic")
    assert not report["good"]
    assert "not arm64" in "".join(found_in(report, "error").values())


def test_host_keys_that_were_left_are_named(mirror, debian_disk, tmp_path):
    """A second disk, of a machine that has run: `clean` is what makes a good image of it."""
    raw, key = tmp_path / "disk.raw", tmp_path / "key"
    run(tool("qemu-img"), "convert", "-O", "raw", debian_disk.qcow2, raw)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    script = tmp_path / "script"
    script.write_text(f"cd /etc/ssh\nwrite {key} ssh_host_ed25519_key\n")
    run(tool("debugfs"), "-w", "-f", script, f"{raw}?offset={ROOT_AT}")
    for kind, options in {"tgz": (), "ddgz": (), "clean": ("--option", "clean=yes")}.items():
        file = tmp_path / kind
        how = ("--type", kind.replace("clean", "tgz"), "--output", str(file), *options)
        done = mirror("image", "build", str(raw), *NAME, *how)
        assert done.status == 0, done.errors
        report = lint(mirror, file)
        named = [each for each in report["findings"] if "etc/ssh/ssh_host_ed25519_key" in str(each)]
        assert bool(named) == (kind != "clean"), (kind, report["findings"])


# --- how ------------------------------------------------------------------------------------------


def lint(mirror, file, *options):
    return json.loads(mirror("image", "lint", str(file), *NAME, *options, "--json").output)


def found_in(report, *severities):
    return {
        each["code"]: each["message"]
        for each in report["findings"]
        if each["severity"] in severities
    }


def members(archive):
    """Return all that an archive says of each member; links of one file share what they say."""
    said, first = {}, {}
    with tarfile.open(archive) as tar:
        for each in tar:
            if each.islnk():
                first[each.name] = each.linkname
                continue
            stream = tar.extractfile(each) if each.isreg() else None
            said[each.name] = {
                "type": each.type,
                "owner": (each.uid, each.gid),
                "mode": each.mode,
                "mtime": 0 if each.name in OTHER_TIMES else int(each.mtime),
                "size": each.size,
                "content": hashlib.file_digest(stream, "sha256").hexdigest() if stream else "",
                "target": each.linkname,
                "device": (each.devmajor, each.devminor),
                "names": {each.name},
                "attributes": {
                    key: value
                    for key, value in each.pax_headers.items()
                    if key.startswith(ATTRIBUTES)
                },
            }
    for name, target in first.items():
        said[name] = said[target]
        said[name]["names"].add(name)
    return said


def without_acl_text(said, names):
    """Leave out an ACL in words, which is there in binary, too.

    GNU tar takes the words from this machine's own list of groups, and for a directory with a
    default ACL says again what its mode says. `test_curtin_unpacks_it` compares them.
    """
    return {
        name: said[name]
        | {
            "attributes": {
                key: value
                for key, value in said[name]["attributes"].items()
                if not key.startswith("SCHILY.acl.")
            }
        }
        for name in names
    }


def digest(file):
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
