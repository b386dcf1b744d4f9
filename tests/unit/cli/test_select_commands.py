"""`mirror select` as a program."""

from __future__ import annotations

import pytest


@pytest.fixture
def served(mut, sample_upstream, serve):
    served = serve(sample_upstream.root)
    mut.add_source(sample_upstream, served.url)
    return served


def test_adding_shows_what_it_would_fetch(cli, served):
    fields = ("--os", "ubuntu", "--release", "noble", "--arch", "amd64", "--subarch", "ga-*")
    dry = cli("select", "add", *fields, "--dry-run")
    assert dry.status == 0, dry.err
    assert "+ com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04 20250715\n" in dry.out
    assert "hwe-24.04" not in dry.out
    assert "would fetch 20 files, " in dry.out
    assert cli("select", "list", "--json").json() == []
    added = cli("select", "add", *fields, "release!=jammy", "--keep", "1", "--json")
    assert added.status == 0, added.err
    answer = added.json()
    assert answer["selection"] == {
        "id": 1,
        "filters": ["release!=jammy"],
        "source": "",
        "keep": 1,
        "os": "ubuntu",
        "release": "noble",
        "arches": ["amd64"],
        "subarches": ["ga-*"],
        "labels": [],
        "bootloaders": True,
    }
    assert answer["preview"]["files"] == 10
    assert answer["problem"] is None
    listed = cli("select", "list")
    takes = "os=ubuntu release=noble arch=amd64 subarch=ga-* release!=jammy"
    assert listed.out.splitlines()[1].split(maxsplit=3) == ["1", "any", "1", takes]


def test_a_selection_can_be_changed_shown_and_removed(cli, served):
    assert cli("select", "add", "--os", "ubuntu", "--arch", "amd64").status == 0
    changed = cli("select", "set", "1", "--arch", "", "--release", "noble", "--no-bootloaders")
    assert changed.status == 0, changed.err
    assert "- com.ubuntu.maas.stable:1:pxelinux:pxe:i386 20250715.0" in changed.out
    shown = cli("select", "show", "1")
    assert "release: noble\n" in shown.out
    assert "arches: any\n" in shown.out
    assert "bootloaders: no\n" in shown.out
    assert cli("select", "show", "1", "--json").json()["arches"] == []
    assert cli("select", "list").out.splitlines()[1].endswith("no bootloaders")
    removed = cli("select", "remove", "1")
    assert "leave with the next sync" in removed.err
    missing = cli("select", "show", "1")
    assert (missing.status, "[MIR-106]" in missing.err) == (1, True)


def test_a_selection_of_everything_must_be_meant(cli, served):
    refused = cli("select", "add", "--label", "stable")
    assert refused.status == 2
    assert "it would take all [MIR-117]" in refused.err
    assert "--os '*'" in refused.err
    assert cli("select", "add", "--os", "*", "--dry-run").status == 0


def test_a_source_that_can_t_be_reached_does_not_stop_a_selection(
    cli, mut, sample_upstream, free_port
):
    nowhere = cli("select", "add", "--os", "debian")
    assert nowhere.status == 0
    assert "what it would fetch can't be said: there is no boot source yet" in nowhere.err
    mut.add_source(sample_upstream, f"http://127.0.0.1:{free_port}/")
    added = cli("select", "add", "--os", "ubuntu")
    assert added.status == 0
    assert "would fetch 0 files" in added.out
    assert "not counted: main: " in added.out
    assert "[MIR-401]" in added.out
    assert len(cli("select", "list", "--json").json()) == 2
    invalid = cli("select", "add", "--os", "ubuntu", "--source", "nobody")
    assert (invalid.status, "[MIR-106]" in invalid.err) == (1, True)


def test_what_is_available_and_why_it_is_not_taken(cli, served):
    nothing = cli("select", "available")
    assert "read the sources with --refresh" in nothing.err
    cli("select", "add", "--os", "ubuntu", "--release", "noble", "--arch", "amd64")
    fresh = cli("select", "available", "--refresh", "--arch", "amd64", "--os", "ubuntu")
    assert fresh.status == 0, fresh.err
    lines = fresh.out.splitlines()
    assert lines[0].split() == [
        *("OS", "RELEASE", "ARCH", "SUBARCH", "LABEL", "VERSION", "SIZE", "SOURCE"),
        *("FINDINGS", "TAKEN"),
    ]
    assert [line.split(maxsplit=9)[9] for line in lines[1:]] == [
        "no: not selected",
        "no: not selected",
        "no: selected: comes with the next sync",
        "no: selected: comes with the next sync",
    ]
    assert cli("sync").status == 0
    page = cli("select", "available", "--release", "noble", "--limit", "3", "--json").json()
    assert [each["taken"] for each in page["items"]] == [True, True, False]
    rest = cli("select", "available", "--release", "noble", "--json", "--after", page["next"])
    assert [each["reason"] for each in rest.json()["items"]] == ["not selected"]
    assert rest.json()["next"] == ""


def test_a_sync_that_would_drop_much_says_how_to_mean_it(cli, served):
    cli("select", "add", "--os", "*")
    cli("select", "add", "--os", "centos")
    assert cli("sync").status == 0
    cli("select", "remove", "1")
    dry = cli("sync", "--dry-run")
    assert "would be refused: stable: the channel would lose 8 of 14 products" in dry.out
    refused = cli("sync")
    assert (refused.status, "[MIR-114]" in refused.err) == (1, True)
    assert "mirror sync --accept-drop" in refused.err
    assert cli("sync", "--accept-drop").status == 0
