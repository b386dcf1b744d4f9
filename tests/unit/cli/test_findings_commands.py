"""What plugins found, and say of releases, as the commands show it."""

from __future__ import annotations

import json

import pytest
from finding import FINDING

from mirror.plugin_manager import load_plugins

FIRST, SECOND, THIRD = "20250615", "20250715", "20250814"
GA = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"
KERNEL = f"warning: {GA} {SECOND}: boot-kernel: odd version [tested-kernel]"
CUT = f"error: {GA} {THIRD}: squashfs: superblock: it is cut [tested-cut]"


@pytest.fixture
def first(install_plugin, cli, mut, sample_upstream, serve):
    """A mirror that has synced once, with a plugin that finds faults; return the command line."""
    install_plugin("tested", FINDING)
    cli.environment["MIRROR_PLUGINS__ALLOW"] = '["tested"]'
    mut.mirror.plugins = load_plugins(allow=["tested"], strict=True)
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64")
    mut.sync_now()
    return cli


@pytest.fixture
def synced(first, sample_upstream):
    """The same, with a newest noble that was condemned and a jammy that is published."""
    sample_upstream.add_version(only="04:amd64")
    sample_upstream.write()
    ran = first("sync")
    assert ran.status == 3, ran.err
    return first


def test_a_sync_prints_them(first, sample_upstream):
    sample_upstream.add_version(only="24.04:amd64")
    sample_upstream.write()
    ran = first("sync")
    assert ran.status == 3
    lines = ran.out.splitlines()
    assert CUT in lines
    assert KERNEL.replace(SECOND, THIRD) in lines
    assert "tested-small" not in ran.out
    assert lines.index(CUT) < next(n for n, line in enumerate(lines) if "left out" in line)
    shown = first("job", "show", "2")
    assert ", 2 problems, 3 findings" in shown.out
    assert f"error: found: {CUT.removeprefix('error: ')}" in first("job", "log", "2").out


def test_each_list_counts_them_and_prints_them_on_request(synced):
    for arguments, count, text in (
        (("channel", "images", "stable", "--release", "noble"), "1 warning, 1 note", KERNEL),
        (("snapshot", "show", "stable"), "1 warning, 1 note", KERNEL),
        (
            ("select", "available", "--release", "noble", "--arch", "amd64"),
            "1 error, 1 warning, 1 note",
            CUT,
        ),
    ):
        plain = synced(*arguments)
        assert plain.status == 0, plain.err
        assert "FINDINGS" in plain.out
        assert count in plain.out, arguments
        assert text not in plain.out
        assert "--findings" in plain.err
        full = synced(*arguments, "--findings")
        assert text in full.out.splitlines(), arguments
        assert "--findings" not in full.err


def test_what_no_plugin_looked_at_and_what_is_well_differ(synced):
    rows = synced("channel", "images", "stable", "--subarch", "hwe-22.04").out.splitlines()[1:]
    assert rows
    assert all(row.endswith("main    none") for row in rows)
    offered = synced("select", "available", "--arch", "arm64", "--release", "noble").out
    assert "none" not in offered


def test_as_json(synced):
    images = synced("channel", "images", "stable", "--release", "noble", "--json").json()
    [ga] = [each for each in images["items"] if each["product"] == GA]
    newest = ga["versions"][-1]
    assert (newest["name"], newest["judge"]) == (SECOND, "tested=1.5")
    assert [each["code"] for each in newest["findings"]] == ["tested-small", "tested-kernel"]
    assert [each["code"] for each in ga["notices"]] == ["tested-support"]
    shown = synced("snapshot", "show", "stable", "--json").json()
    found = {(each["product"], each["version"]): each["findings"] for each in shown["versions"]}
    assert found[GA, SECOND] == newest["findings"]
    offered = synced("select", "available", "--release", "noble", "--json").json()
    [image] = [each for each in offered["items"] if each["product"] == GA]
    assert [each["severity"] for each in image["findings"]] == ["note", "warning", "error"]


def test_pages(synced):
    first = synced("channel", "images", "stable", "--json", "--limit", "1").json()
    second = synced(
        "channel", "images", "stable", "--json", "--limit", "1", "--after", first["next"]
    ).json()
    assert first["items"][0]["product"] < second["items"][0]["product"]


def test_what_a_difference_brings(synced, mut):
    old, _ = mut.mirror.store.snapshots.ids()
    lines = synced("snapshot", "diff", old, "stable").out.splitlines()
    added = next(n for n, line in enumerate(lines) if line.startswith(f"    + {THIRD}"))
    assert lines[added + 1 : added + 3] == [
        "        note: it is small [tested-small]",
        "        warning: boot-kernel: odd version [tested-kernel]",
    ]


def test_a_channel_shows_what_is_to_be_known_of_its_releases(synced):
    shown = synced("channel", "show", "stable")
    noble = "warning: ubuntu noble (2 products): "
    assert noble in shown.out
    assert "support ends 2029-05-31 [tested-support]" in shown.out
    assert "[plugin-failed]" in shown.out
    notices = synced("channel", "show", "stable", "--json").json()["notices"]
    assert {(each["release"], each["products"]) for each in notices} >= {("noble", 2)}
    full = synced("channel", "images", "stable", "--findings").out
    assert f"warning: {GA}: 20" in full


def test_the_doctor_names_releases_once_and_counts_findings(synced):
    ran = synced("doctor", "--json", MIRROR_SERVER__PORT="1")
    report = json.loads(ran.out)
    checks: dict[str, list] = {}
    for check in report["checks"]:
        checks.setdefault(check["name"], []).append(check)
    [found] = checks["findings"]
    assert found["state"] == "warning"
    assert "warnings in" in found["what"]
    assert found["remedy"] == "mirror channel images stable --findings"
    assert {check["state"] for check in checks["support"]} == {"warning"}
    assert (
        len([each for each in checks["support"] if "ubuntu noble (2 products)" in each["what"]])
        == 1
    )
    [confined] = checks["plugin confinement"]
    assert confined["what"].startswith("files: ")


def test_nothing_found_is_well(install_plugin, cli, mut, sample_upstream, serve):
    quiet = FINDING.partition("    def validate")[0] + FINDING[FINDING.index("@hookimpl") :]
    install_plugin("tested", quiet)
    cli.environment["MIRROR_PLUGINS__ALLOW"] = '["tested"]'
    mut.mirror.plugins = load_plugins(allow=["tested"], strict=True)
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64")
    mut.sync_now()
    report = cli("doctor", "--json", MIRROR_SERVER__PORT="1").json()
    states = {check["name"]: check["state"] for check in report["checks"]}
    assert (states["findings"], states["support"]) == ("ok", "ok")
    listed = cli("channel", "images", "stable")
    assert "none" in listed.out
    assert "--findings" not in listed.err
