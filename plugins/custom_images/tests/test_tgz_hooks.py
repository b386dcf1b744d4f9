"""Hooks in a root-tgz: every reader of tars finds them, and everything else as it was."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile

import pytest
from build_helpers import HOOKS, build
from disk_builder import plant, run
from disk_samples import compress

from mirror.api import BuildRefused
from mirror.formats import FormatError, identify
from mirror.testing import spoil
from mirror.testing.artefacts import noise
from mirror.testing.tools import tool

LONG = "/".join(["a long name of a directory"] * 9)


@pytest.fixture
def hooks(tmp_path):
    return plant(tmp_path / "hooks", HOOKS, executable=("curtin-hooks", "setup-bootloader"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Return a root file system with holes, hard links, attributes and long names."""
    folder = plant(
        tmp_path_factory.mktemp("tree") / "root",
        {
            "etc/os-release": "ID=debian\n",
            "usr/bin/program": noise("program", 70_000),
            "usr/curtin/kept": "not a hook",
            f"{LONG}/file": "far down",
        },
    )
    holes = folder / "usr/bin/holes"
    with holes.open("wb") as file:
        for at in range(0, 40 << 20, 2 << 20):
            file.seek(at)
            file.write(noise("holes", 5000))
    (folder / "usr/bin/twin").hardlink_to(folder / "usr/bin/program")
    (folder / "bin").symlink_to("usr/bin")
    os.setxattr(folder / "etc/os-release", "user.label", b"\0\1kept")
    (folder / "usr/bin/program").chmod(0o4755)
    return folder


FORMATS = {
    "gnu": ["--format=gnu", "-S"],
    "pax": ["--format=pax", "-S", "--xattrs", "--xattrs-include=*"],
    "pax 0.0": ["--format=pax", "-S", "--sparse-version=0.0", "--xattrs", "--xattrs-include=*"],
    "pax 0.1": ["--format=pax", "-S", "--sparse-version=0.1", "--xattrs", "--xattrs-include=*"],
    "without dots": ["--format=pax", "--xattrs", "--xattrs-include=*", "--transform=s,^\\./,,"],
}


def root_tar(tree, file, how, *more):
    run("tar", "-cf", file, *FORMATS[how], "-C", tree, *(more or ["."]))
    return file


def members(file):
    with tarfile.open(file) as archive:
        return {
            each.name: (
                each.type, each.mode, each.uid, each.gid, each.mtime, each.size, each.linkname,
                {key: value for key, value in each.pax_headers.items() if "SCHILY" in key},
                archive.extractfile(each).read() if each.isreg() else b"",
            )
            for each in archive
        }  # fmt: skip


def check_hooks(found):
    """Check the hooks that `members` found, and return the other members."""
    own = {name: each for name, each in found.items() if name.split("/")[:2] == [".", "curtin"]}
    own |= {name: each for name, each in found.items() if name.split("/")[0] == "curtin"}
    assert {name.removeprefix("./curtin/"): each[8].decode() for name, each in own.items()} == {
        "./curtin": "",
        "lib": "",
        **HOOKS,
    }
    assert own["./curtin/curtin-hooks"][1:4] == (0o755, 0, 0)
    assert own["./curtin/lib/names.json"][1:4] == (0o644, 0, 0)
    return {name: each for name, each in found.items() if name not in own}


@pytest.mark.parametrize("how", FORMATS)
def test_they_are_put_in_front(how, tree, hooks, tmp_path):
    plain = root_tar(tree, tmp_path / "root.tar", how)
    file = compress(plain, tmp_path / "root.tgz", "gzip")
    built = build(file, hooks=hooks)
    made, given = built.file.read_bytes(), file.read_bytes()
    assert made.endswith(given)
    assert len(made) - len(given) < 1000
    assert check_hooks(members(built.file)) == members(plain)
    assert identify(built.file).ftype == built.ftype == "root-tgz"


@pytest.mark.parametrize("how", FORMATS)
def test_every_tar_unpacks_it(how, tree, hooks, tmp_path):
    file = compress(root_tar(tree, tmp_path / "root.tar", how), tmp_path / "root.tgz", "gzip")
    built = build(file, hooks=hooks)
    for name, options in {
        "tar": ["--xattrs", "--xattrs-include=*", "-Sxpzf"],
        "bsdtar": ["--xattrs", "-xpf"],
    }.items():
        out = tmp_path / name
        out.mkdir()
        run(name, *options, built.file, "-C", out)
        for hook, content in HOOKS.items():
            assert (out / "curtin" / hook).read_text() == content
        assert os.access(out / "curtin/curtin-hooks", os.X_OK)
        assert (out / "usr/bin/holes").read_bytes() == (tree / "usr/bin/holes").read_bytes()
        assert (out / LONG / "file").read_text() == "far down"
        assert (out / "usr/bin/program").stat().st_mode & 0o7777 == 0o4755
        assert (out / "usr/bin/twin").samefile(out / "usr/bin/program")
        if how != "gnu":
            assert os.getxattr(out / "etc/os-release", "user.label") == b"\0\1kept"
        if how != "without dots":
            assert (out / "usr/bin/holes").stat().st_blocks * 512 < 10 << 20


def test_as_curtin_unpacks_it(tree, hooks, tmp_path):
    """It comes through a pipe, and tar has to see by itself that it is gzip."""
    file = compress(root_tar(tree, tmp_path / "root.tar", "pax"), tmp_path / "root.tgz", "gzip")
    built = build(file, hooks=hooks)
    out = tmp_path / "out"
    out.mkdir()
    command = f"gzip -dc | {tool('tar')} -C {out} --xattrs '--xattrs-include=*' -Sxpf - "
    with built.file.open("rb") as stdin:
        subprocess.run(["sh", "-c", f"{command} --numeric-owner"], stdin=stdin, check=True)
    assert (out / "curtin/curtin-hooks").read_text() == HOOKS["curtin-hooks"]
    assert (out / "etc/os-release").read_text() == "ID=debian\n"


def test_the_same_hooks_are_the_same_bytes(tree, hooks, tmp_path):
    file = compress(root_tar(tree, tmp_path / "root.tar", "pax"), tmp_path / "root.tgz", "gzip")
    first = build(file, hooks=hooks).file.read_bytes()
    for number, each in enumerate([hooks, *hooks.rglob("*")]):
        os.utime(each, (number, number))
    assert build(file, hooks=hooks).file.read_bytes() == first


@pytest.mark.parametrize("form", ["", "bzip2", "xz", "zstd"])
@pytest.mark.parametrize("with_hooks", [True, False])
def test_another_compression_becomes_gzip(form, with_hooks, tree, hooks, tmp_path):
    plain = root_tar(tree, tmp_path / "root.tar", "pax")
    file = compress(plain, tmp_path / "root", form) if form else plain
    said = []
    built = build(file, hooks=hooks if with_hooks else None, report=lambda *at: said.append(at))
    assert identify(built.file).ftype == built.ftype == "root-tgz"
    assert said[-1] == (file.stat().st_size,) * 2
    content = gzip.decompress(built.file.read_bytes())
    if with_hooks:
        assert content.endswith(plain.read_bytes())
        assert check_hooks(members(built.file)) == members(plain)
    else:
        assert content == plain.read_bytes()


# --- hooks that are there already -----------------------------------------------------------------


@pytest.fixture
def with_own(tree, tmp_path):
    """Return a function that makes a root with hooks of its own, in some format of tar."""

    def _make(how):
        own = plant(
            tmp_path / "own",
            {"curtin/curtin-hooks": "old", f"curtin/{LONG}/more": "old, too", "etc/last": "kept"},
        )
        (own / "curtin/holes").touch()
        os.truncate(own / "curtin/holes", 4 << 20)
        with (own / "curtin/holes").open("r+b") as file:
            for at in range(0, 4 << 20, 1 << 16):
                file.seek(at)
                file.write(b"some")
        plain = root_tar(tree, tmp_path / "root.tar", how, ".", "-C", own, ".")
        return compress(plain, tmp_path / "root.tgz", "gzip")

    return _make


@pytest.mark.parametrize("how", FORMATS)
def test_hooks_that_are_there_stay(how, with_own, hooks):
    with pytest.raises(BuildRefused, match="hooks of its own already: 'curtin/") as refused:
        build(with_own(how), hooks=hooks)
    assert "hooks=replace" in refused.value.remedy


@pytest.mark.parametrize("how", FORMATS)
def test_hooks_that_make_way(how, with_own, hooks):
    file = with_own(how)
    made = build(file, hooks=hooks, options={"hooks": "replace"}).file
    kept = {
        name: each
        for name, each in members(file).items()
        if "curtin" not in name.removeprefix("./").split("/")[0]
    }
    assert check_hooks(members(made)) == kept
    assert "etc/last" in {name.removeprefix("./") for name in kept}


def test_what_was_replaced_is_otherwise_the_same_to_the_byte(tree, hooks, tmp_path):
    """Headers are not made anew: the tar without hooks is found again in the one with them."""
    plain = root_tar(tree, tmp_path / "root.tar", "pax")
    once = build(compress(plain, tmp_path / "root.tgz", "gzip"), hooks=hooks).file
    file = once.rename(tmp_path / "once.tgz")
    made = gzip.decompress(build(file, hooks=hooks, options={"hooks": "replace"}).file.read_bytes())
    assert made == gzip.decompress(file.read_bytes())
    assert made.endswith(plain.read_bytes())


def test_an_empty_directory_is_no_hook(tmp_path, hooks):
    tree = plant(tmp_path / "tree", {"etc/os-release": "ID=x\n"})
    (tree / "curtin").mkdir()
    file = compress(root_tar(tree, tmp_path / "root.tar", "gnu"), tmp_path / "root.tgz", "gzip")
    assert build(file, hooks=hooks).file.read_bytes().endswith(file.read_bytes())


# --- what is refused ------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    tree = plant(tmp_path / "small", {"etc/os-release": "ID=x\n", "bin/x": noise("x", 200_000)})
    return compress(root_tar(tree, tmp_path / "root.tar", "pax"), tmp_path / "root.tgz", "gzip")


def test_without_hooks_there_is_nothing_to_build(small):
    with pytest.raises(BuildRefused, match="nothing to build"):
        build(small)


@pytest.mark.parametrize(
    ("name", "ftype"), [("custom/x", "root-dd.gz"), ("windows/win2022", ""), ("esxi/8", "")]
)
def test_a_root_is_no_disk(name, ftype, small):
    with pytest.raises(BuildRefused, match="no image of a disk can be made of it"):
        build(small, name, ftype)


def test_other_types_are_not_made(small):
    with pytest.raises(BuildRefused, match="no root-txz is made"):
        build(small, ftype="root-txz")


@pytest.mark.parametrize("size", [20, 5000, 100_000])
def test_a_root_that_was_cut(size, small, hooks):
    os.truncate(small, small.stat().st_size - size)
    with pytest.raises(FormatError):
        build(small, hooks=hooks)


def test_a_bomb(tmp_path):
    """A tar that is a bomb is seen for what it is, before it fills a disk."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("etc/os-release"))
        info = tarfile.TarInfo("usr/bomb")
        info.size = 1 << 45
        archive.addfile(info)
    file = tmp_path / "bomb.tar.xz"
    head = tar.getvalue()[:2048]
    file.write_bytes(spoil.gzip_bomb(1 << 30, head=head))
    with pytest.raises(FormatError):
        build(file, hooks=plant(tmp_path / "hooks", HOOKS, executable=["curtin-hooks"]))


def _no_hooks(folder):
    (folder / "curtin-hooks").unlink()


def _not_executable(folder):
    (folder / "curtin-hooks").chmod(0o644)


def _link(folder):
    (folder / "link").symlink_to("/etc/shadow")


def _pipe(folder):
    os.mkfifo(folder / "pipe")


def _large(folder):
    os.truncate(folder / "setup-bootloader", 65 << 20)


def _many(folder):
    for number in range(1001):
        (folder / f"n{number}").touch()


@pytest.mark.parametrize(
    ("spoil_them", "said"),
    [
        (_no_hooks, "neither a curtin-hooks nor a finalize"),
        (_not_executable, "curtin/curtin-hooks can't be run"),
        (_link, "curtin/link is neither a file nor a directory"),
        (_pipe, "curtin/pipe is neither a file nor a directory"),
        (_large, "curtin/setup-bootloader is of 68,157,440 bytes"),
        (_many, "more than 1,000 files"),
    ],
)
def test_hooks_that_are_none(spoil_them, said, small, hooks):
    spoil_them(hooks)
    with pytest.raises(BuildRefused, match=said):
        build(small, hooks=hooks)


def test_hooks_in_a_directory_of_their_name(small, hooks, tmp_path):
    """As the templates of packer-maas have them: the directory that is to be /curtin."""
    outer = tmp_path / "outer"
    outer.mkdir()
    first = build(small, hooks=hooks).file.read_bytes()
    hooks.rename(outer / "curtin")
    assert build(small, hooks=outer).file.read_bytes() == first


def test_a_file_for_hooks(small, tmp_path):
    with pytest.raises(BuildRefused, match=r"root\.tgz is no directory"):
        build(small, hooks=small)
