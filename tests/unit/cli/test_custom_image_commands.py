"""`mirror image` as a program."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

from mirror.testing.artefacts import root_tgz

NAME = ("--name", "centos/centos8")
PRODUCT = "custom:v1:centos:centos8:amd64:generic"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "centos.tar.gz"
    file.write_bytes(root_tgz("a", 50_000))
    return file


def disk(path: Path, size: int) -> Path:
    """Make a disk with one partition, and nothing in it."""
    entry = struct.pack("<B3sB3sII", 0, b"", 0x83, b"", 2048, size // 512 - 2048)
    with path.open("wb") as file:
        file.write(bytes(446) + entry + bytes(48) + b"\x55\xaa")
        file.truncate(size)
    return path


def test_lint_needs_no_mirror_at_all(cli, image, tmp_path):
    cli.data_dir = tmp_path / "nowhere"
    ran = cli("image", "lint", str(image), *NAME)
    assert (ran.status, ran.out.splitlines()[-1]) == (
        0,
        f"{image}, root-tgz: can be taken in as centos/centos8 (2 warnings, 1 note)",
    )
    report = cli("image", "lint", str(image), *NAME, "--json").json()
    assert report["good"] is True
    assert report["declaration"]["ftype"] == "root-tgz"
    assert not (tmp_path / "nowhere").exists()


def test_lint_names_what_is_wrong(cli, image, tmp_path):
    ran = cli("image", "lint", str(image), "--name", "rocky/9", "--type", "ddgz", "--json")
    assert ran.status == 1
    codes = {each["code"] for each in ran.json()["findings"]}
    assert {"image-os-unknown", "image-type-differs"} <= codes
    cut = tmp_path / "cut"
    cut.write_bytes(image.read_bytes()[:-2000])
    ran = cli("image", "lint", str(cut), *NAME)
    assert ran.status == 1
    assert "can't be taken in" in ran.out
    assert cli("image", "lint", str(tmp_path / "missing"), *NAME).status == 2
    assert cli("image", "lint", str(image)).status == 2
    assert cli("image", "lint", str(image), *NAME, "--type", "zst").status == 1


def test_an_image_from_adding_to_removing(cli, image, tmp_path):
    ran = cli("image", "add", str(image), *NAME, "--title", "My CentOS")
    assert ran.status == 0, ran.err
    assert ran.out.startswith(f"+ {PRODUCT} ")
    assert "looking into centos/centos8" in ran.err
    [shown] = cli("image", "list", "--json").json()
    version = shown["newest"]
    assert version in cli("image", "list").out
    assert version in cli("channel", "images", "stable").out
    assert "My CentOS" in cli("image", "show", "centos/centos8").out
    assert cli("image", "add", str(image), *NAME, "--title", "My CentOS").out.startswith(
        f"already there: {PRODUCT} {version}"
    )
    [job, first] = cli("job", "list", "--json").json()
    assert (job["kind"], first["kind"], first["state"]) == ("image", "image", "succeeded")
    assert f"{PRODUCT} {version}" in cli("job", "list").out
    assert cli("job", "show", str(first["id"])).status == 0
    assert "copying" in cli("job", "log", str(first["id"])).out

    changed = cli("image", "set", "centos/centos8", "--keep", "2", "--json").json()
    assert changed["keep"] == 2
    other = tmp_path / "other"
    other.write_bytes(root_tgz("b", 50_000))
    taken = cli("image", "add", str(other), *NAME, "--no-publish", "--json").json()
    assert taken["published"] is None
    assert taken["version"]["name"] > version
    assert cli("sync", "--json").json()["added"] == [f"{PRODUCT} {taken['version']['name']}"]
    assert cli("image", "remove", "centos/centos8", "--version", version).status == 0
    assert version not in {
        each["name"]
        for resource in cli("channel", "images", "stable", "--json").json()["items"]
        for each in resource["versions"]
    }
    last = cli("image", "remove", "centos/centos8")
    assert last.status == 3
    assert "nothing is left to publish" in last.err
    assert cli("image", "list", "--json").json() == []
    assert cli("image", "show", "centos/centos8").status == 1
    actions = [each["action"] for each in cli("audit", "list", "--json").json()]
    assert actions.count("image.remove") == 2


def test_what_is_refused_says_why_and_how_to_go_on(cli, image):
    ran = cli("image", "add", str(image), "--name", "rhel/9", "--type", "ddgz")
    assert (ran.status, "MIR-903" in ran.err) == (1, True)
    ran = cli("image", "add", str(image), "--name", "windows/win2022", "--json")
    assert ran.status == 2
    assert json.loads(ran.err.splitlines()[-1])["error"]["code"] == "MIR-902"
    ran = cli("image", "add", str(image), *NAME, "--sha256", "0" * 64)
    assert ran.status == 4
    ran = cli("image", "add", str(image), *NAME, "--arch", "arm64/generic")
    assert (ran.status, "--accept CODE" in ran.err) == (1, True)
    assert cli("image", "list", "--json").json() == []
    assert cli("channel", "list", "--json").json() == []


def test_killed_on_the_way_nothing_is_there_and_it_can_be_done_again(cli, mut, image, tmp_path):
    large = disk(tmp_path / "large", 8 * 2**30)
    process = cli.start("image", "add", str(large), "--name", "custom/a-disk")
    incoming = mut.root / "incoming"
    for _ in range(1000):
        if any(each.name.startswith("scratch-") for each in incoming.iterdir()):
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert cli("image", "list", "--json").json() == []
    [job] = cli("job", "list", "--json").json()
    assert job["state"] == "interrupted"
    assert cli("image", "add", str(image), *NAME).status == 0
    assert any(incoming.iterdir())
    assert cli("gc", "--grace", "0").status == 0
    assert list(incoming.iterdir()) == []


def test_ctrl_c_ends_it_cleanly(cli, mut, tmp_path):
    large = disk(tmp_path / "large", 8 * 2**30)
    process = cli.start("image", "add", str(large), "--name", "custom/a-disk")
    line = process.stderr.readline()
    assert "copying" in line
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert list((mut.root / "incoming").iterdir()) == []
    [job] = cli("job", "list", "--json").json()
    assert job["state"] == "cancelled"


def test_the_server_s_runner_takes_one_in(cli, mut, image):
    from mirror.images.declaration import Wanted
    from mirror.intake.order import TakeOrder

    order = TakeOrder(file=str(image), wanted=Wanted(name="centos/centos8"), by="token ci")
    with cli.serving():
        job = mut.mirror.custom_images.queue(order)
        ran = cli("job", "follow", str(job.id))
    assert ran.status == 0, ran.err
    assert "looking into centos/centos8" in ran.err
    [shown] = cli("image", "list", "--json").json()
    assert shown["versions"][0]["by"] == "token ci"


def test_an_image_is_built_of_a_disk(cli, mut, tmp_path):
    from mirror.testing.tools import tool

    disk, output = tmp_path / "disk.qcow2", tmp_path / "out" / "disk.gz"
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(16 * 2**20)
    for command in (
        (tool("sgdisk"), "--new=1:2048:+8M", raw),
        (tool("qemu-img"), "convert", "-O", "qcow2", raw, disk),
    ):
        subprocess.run(command, check=True, capture_output=True)
    output.parent.mkdir()
    said = ("--name", "custom/my-disk", "--type", "ddgz")
    nowhere = cli.data_dir
    cli.data_dir = tmp_path / "nowhere"
    ran = cli("image", "build", str(disk), *said, "--output", str(output), "--json")
    assert ran.status == 0, ran.err
    built = ran.json()
    assert (built["ftype"], built["size"]) == ("root-dd.gz", output.stat().st_size)
    assert [each.name for each in output.parent.iterdir()] == ["disk.gz"]
    cli.data_dir = nowhere
    lint = cli("image", "lint", str(output), "--name", "custom/my-disk", "--json").json()
    accept = [w for each in lint["findings"] for w in ("--accept", each["code"])]
    ran = cli("image", "build", str(disk), *said, *accept, "--json")
    assert ran.status == 0, ran.err
    version = ran.json()["version"]
    assert version["items"][0]["sha256"] == built["sha256"]
    assert version["made_from"]["sha256"] == built["made_from"]["sha256"]
    assert version["made_from"]["file"] == "disk.qcow2"
    assert version["items"][0]["attributes"]["raw_size"]
    bad = cli("image", "build", str(disk), *said, "--option", "nonsense=1")
    assert bad.status == 1
    assert cli("image", "build", str(disk), *said, "--no-add").status == 2


def test_findings_are_told_the_gravest_first_and_what_was_accepted_for_nothing_is(cli, image):
    ran = cli("image", "lint", str(image), "--name", "rhel/8", "--accept", "custom-image-kernle")
    grave = [line.partition(":")[0] for line in ran.out.splitlines()[:-1]]
    assert grave == sorted(grave, key=["error", "warning", "note"].index)
    assert len(set(grave)) > 1
    assert "--accept custom-image-kernle: nothing of that code was found" in ran.err


@pytest.mark.parametrize("verb", ["lint", "add"])
def test_what_maas_would_never_take_is_not_accepted(cli, image, verb):
    cli("init")
    words = ("image", verb, str(image), "--name", "rocky/9", "--accept", "image-os-unknown")
    ran = cli(*words)
    assert ran.status == {"lint": 1, "add": 2}[verb]
    assert "knows no operating system 'rocky'" in ran.out + ran.err


def test_it_is_said_what_hides_an_image_that_is_not_free(cli, image):
    cli("init")
    hidden = cli("image", "add", str(image), "--name", "custom/ours", "--licence", "subscription")
    assert hidden.status == 0
    assert "once stable allows it: mirror channel allow stable subscription" in hidden.err
    assert "mirror image push custom/ours --maas URL" in hidden.err
    assert cli("channel", "allow", "stable", "subscription").status == 0
    again = cli("image", "add", str(image), "--name", "custom/ours")
    assert "only tokens that have it see the image" in again.err
    assert "channel allow" not in again.err


def test_what_can_not_be_meant_is_wrong_usage(cli, image, tmp_path):
    cli("init")
    words = ("image", "build", str(image), *NAME, "--output")
    before = image.read_bytes()
    for output, why in (
        (image, "is what the image is made of"),
        (tmp_path / "no" / "x", "is no file in a directory"),
        (tmp_path, "is no file in a directory"),
    ):
        ran = cli(*words, str(output))
        assert (ran.status, why in ran.err) == (2, True), ran.err
    assert image.read_bytes() == before
    ran = cli("image", "set", "centos/centos8")
    assert (ran.status, "nothing of centos/centos8 is to change" in ran.err) == (2, True)
