"""`mirror snapshot`, `mirror gc` and `mirror storage` as programs."""

from __future__ import annotations

import json

import pytest
from listing import LISTING

from mirror.plugin_manager import load_plugins

FIRST, SECOND, THIRD = "20250615", "20250715", "20250814"


@pytest.fixture
def synced(install_plugin, cli, mut, sample_upstream, serve):
    """Channel stable, at the second of two snapshots: noble got a newer version."""
    install_plugin("listing", LISTING)
    cli.environment["MIRROR_PLUGINS__ALLOW"] = '["listing"]'
    mut.mirror.plugins = load_plugins(allow=["listing"], strict=True)
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    mut.sync_now()
    sample_upstream.add_version(only="24.04:amd64")
    sample_upstream.write()
    mut.sync_now()
    return cli


def test_every_reading_command_for_people_and_as_json(synced, mut):
    first, second = mut.mirror.store.snapshots.ids()
    for arguments, words in (
        (("snapshot", "list"), f"{first}  0 min"),
        (("snapshot", "list"), "(stable)"),
        (("snapshot", "list", "--unique"), "UNIQUE"),
        (("snapshot", "diff", first, "stable"), f"+ {THIRD}"),
        (("snapshot", "diff", first, second), f"- {FIRST}"),
        (("snapshot", "diff", first, second), "2 products differ"),
        (
            ("snapshot", "diff", first, second, "--packages"),
            f"~ ubuntu-image {SECOND} -> {THIRD}",
        ),
        (
            ("snapshot", "packages", "noble", FIRST, THIRD),
            f"{FIRST} -> {THIRD}: 0 packages added, 0 removed, ",
        ),
        (("snapshot", "verify", first), "read "),
        (("storage",), "2 snapshots, 1 channels"),
        (("gc", "--dry-run"), f"stays: snapshot {second}: channel stable publishes it"),
        (("gc",), "deleted 0 snapshots, 0 blobs"),
    ):
        ran = synced(*arguments)
        assert ran.status == 0, (arguments, ran.err)
        assert words in ran.out, (arguments, ran.out)
        ran = synced(*arguments, "--json")
        assert ran.status == 0, (arguments, ran.err)
        assert json.loads(ran.out), arguments


def test_verify_of_a_damaged_snapshot_is_4(synced, mut):
    first, second = mut.mirror.store.snapshots.ids()
    old, new = (mut.mirror.store.snapshots.load(each).files for each in (first, second))
    gone = next(path for path in new if path not in old)
    mut.mirror.store.blobs.delete(new[gone].sha256)
    ran = synced("snapshot", "verify", "stable")
    assert (ran.status, f"missing: {gone}" in ran.out) == (4, True)
    assert synced("snapshot", "verify", first).status == 0


def test_errors_name_what_there_is(synced):
    ran = synced("snapshot", "packages", "noble", FIRST, "1")
    assert (ran.status, "[MIR-116]" in ran.err) == (1, True)
    assert f"{FIRST}, {SECOND}, {THIRD}" in ran.err
    ran = synced("snapshot", "packages", "os=grub-efi-signed", f"{FIRST}.0", f"{SECOND}.0")
    assert (ran.status, "[MIR-132]" in ran.err) == (1, True)


def test_gc_by_the_settings_of_the_file(synced, mut):
    (mut.root / "mirror.toml").write_text(
        '[retention]\nkeep = 1\nage = "0 s"\nunpulled = "0 s"\n[store]\ngrace = "0 s"\n'
    )
    first, second = mut.mirror.store.snapshots.ids()
    mut.mirror.store.channels.switch("stable", second, "long ago")
    planned = synced("gc", "--dry-run").out
    assert f"would go: snapshot {first}" in planned
    assert f"only snapshot {first} named it" in planned
    assert "would delete 1 snapshots" in planned
    done = synced("gc").out
    assert f"gone: snapshot {first}" in done
    assert mut.mirror.store.snapshots.ids() == [second]
    assert synced("verify").status == 0
