"""Disks that are made to keep a reader busy, looked at where plugins are confined."""

from __future__ import annotations

import time

import pytest
import root_builder
from disk_builder import LVM, MIB, Slice, ext4, gpt, plant, run
from hostile_hives import HIVES
from lvm_builder import write_metadata
from windows_builder import files, windows_disk

from mirror.api import Item, Severity, Version
from mirror.isolation.workshop import Workshop
from mirror.plugin_manager import load_plugins
from mirror.settings import PluginSettings

MOST_SECONDS = 20
"""For what takes one, on a machine that does other things as well."""
SOFTWARE = "Windows/System32/config/SOFTWARE"
ANSWERS = "Windows/Panther/Unattend.xml"


@pytest.fixture
async def look(tmp_path):
    """Return what asks the plugin, in its process, what is wrong with a disk: codes by message."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    plugins = load_plugins(allow=["custom_images"], strict=True)
    settings = PluginSettings(processes=1)
    async with Workshop(settings, plugins, scratch=scratch, readable=(tmp_path,)) as workshop:

        async def _look(disk, name="custom/ours"):
            item = Item("root-dd.raw", "root-dd.raw", "custom/x/root-dd.raw", "0" * 64, 1)
            asked = (root_builder.product(name), Version("20260101", (item,)), {item.name: disk})
            started = time.monotonic()
            inspected = await workshop.inspect("custom-images", *asked)
            assert time.monotonic() - started < MOST_SECONDS
            return {each.code.removeprefix("custom-images-"): each for each in inspected.findings}

        yield _look


@pytest.mark.parametrize("made", HIVES)
async def test_a_hive_that_leads_to_itself(made, look, tmp_path):
    disk = windows_disk(tmp_path / "windows", files(**{SOFTWARE: HIVES[made]()}))
    found = await look(disk, "windows/win2022")
    assert found["windows-registry-unreadable"].severity is Severity.WARNING


@pytest.mark.parametrize(
    "text",
    [
        "<AdministratorPassword>" + " " * MIB,
        "<ProductKey>" + "\t" * MIB,
        "<Password><Value>" + " " * (MIB - 100),
        "<password><" * 90_000,
        "<" + "password" * 120_000,
    ],
    ids=["password", "key", "value", "tags", "words"],
)
async def test_answers_that_are_made_to_be_searched_for_hours(text, look, tmp_path):
    disk = windows_disk(tmp_path / "windows", files(**{ANSWERS: text}))
    assert "windows-release" in await look(disk, "windows/win2022")


@pytest.mark.parametrize(
    "text",
    ["a {" * 20_000, "a = [" + "1," * 60_000, "a = " + '"' + "\\" * 60_000, "a" * 60_000],
    ids=["deep", "long", "string", "word"],
)
async def test_metadata_of_lvm_without_end(text, look, tmp_path):
    volume = tmp_path / "pv"
    volume.write_bytes(bytes(8 * MIB))
    write_metadata(volume, text)
    found = await look(gpt(tmp_path / "disk", [Slice(volume, LVM)]))
    assert "the physical volume of LVM on it is damaged" in found["filesystem-unread"].message


@pytest.mark.parametrize(
    "command",
    ["link usr etc/usr", "link . etc/root", "set_inode_field etc/passwd size 0x7fffffffffffffff"],
)
async def test_an_ext4_of_loops(command, look, tmp_path):
    tree = plant(tmp_path / "tree", {"etc/passwd": "x" * 9000, "usr/bin/sh": "x"})
    root = ext4(tmp_path / "root", tree)
    run("debugfs", "-w", "-R", command, root)
    found = await look(gpt(tmp_path / "disk", [Slice(root)]))
    assert "disk-size" in found
    if command.startswith("link"):
        assert "is damaged" in found["filesystem-unread"].message
