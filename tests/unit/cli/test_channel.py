"""`mirror channel` as a program."""

from __future__ import annotations

import pytest


@pytest.fixture
def synced(cli, mut, sample_upstream, serve):
    """Channel stable, at the second of two snapshots: noble got a newer version."""
    url = serve(sample_upstream.root).url
    mut.add_source(sample_upstream, url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    mut.sync_now()
    sample_upstream.add_version(only="24.04:amd64")
    sample_upstream.write()
    mut.sync_now()
    return cli


def noble(mut, channel: str = "stable") -> set[str]:
    return {version for product, version in mut.versions(channel) if "24.04" in product}


def test_rollback_publishes_anew_and_holds(synced, mut):
    first, second = mut.mirror.store.snapshots.ids()
    assert noble(mut) == {"20250715", "20250814"}
    ran = synced("channel", "rollback", "stable", "--json")
    third = ran.json()["snapshot"]
    assert (ran.status, "mirror channel unpin stable" in ran.err) == (0, True)
    assert first < second < third == mut.mirror.channels.current("stable")
    assert noble(mut) == {"20250615", "20250715"}
    shown = synced("channel", "show", "stable").out
    assert f"held: rolled back from {second}" in shown
    [*_, last] = synced("channel", "show", "stable", "--json").json()["history"]
    assert (last["snapshot"], last["origin"], "@" in last["by"]) == (third, first, True)
    again = synced("channel", "rollback", "stable")
    assert (again.status, "no earlier snapshot" in again.err) == (1, True)
    assert synced("sync", "--json").json()["status"] == "held"
    refused = synced("channel", "promote", "stable", second)
    assert (refused.status, "[MIR-115]" in refused.err) == (1, True)
    assert "held no more" in synced("channel", "unpin", "stable").err
    assert synced("sync").status == 0
    assert noble(mut) == {"20250715", "20250814"}


def test_rollback_to_a_snapshot_by_name(synced, mut):
    first, _ = mut.mirror.store.snapshots.ids()
    assert synced("channel", "rollback", "stable", "--to", first).status == 0
    assert noble(mut) == {"20250615", "20250715"}
    ran = synced("channel", "rollback", "stable", "--to", "nothing")
    assert (ran.status, "[MIR-106]" in ran.err) == (1, True)


def test_promote_makes_and_moves_a_channel(synced, mut):
    first, second = mut.mirror.store.snapshots.ids()
    assert first in synced("channel", "promote", "site-a", first).err
    assert second in synced("channel", "promote", "site-a", "stable").err
    listed = synced("channel", "list", "--json").json()
    assert {each["name"]: each["snapshot"] for each in listed} == {
        "site-a": second,
        "stable": second,
    }
    assert all(each["held"] is None and each["bytes"] > 0 for each in listed)


def test_create_and_remove(synced, mut):
    assert synced("channel", "create", "site-b", "stable").status == 0
    again = synced("channel", "create", "site-b", "stable")
    assert (again.status, "[MIR-107]" in again.err) == (1, True)
    assert synced("channel", "remove", "site-b").status == 0
    assert set(mut.mirror.channels.pointers()) == {"stable"}
    needed = synced("channel", "remove", "stable")
    assert (needed.status, "[MIR-130]" in needed.err) == (1, True)


def test_pin_a_release_and_unpin_it(synced, mut):
    ran = synced("channel", "pin", "stable", "noble", "20250615", "--json")
    assert ran.status == 0, ran.err
    assert ran.json()["filters"] == ["release=noble"]
    assert noble(mut) == {"20250615"}
    assert "release=noble at 20250615" in synced("channel", "show", "stable").out
    unknown = synced("channel", "pin", "stable", "noble", "20990101")
    assert (unknown.status, "[MIR-116]" in unknown.err) == (1, True)
    assert "20250615, 20250715, 20250814" in unknown.err
    narrow = ("pin", "stable", "release=noble", "subarch=ga-24.04", "20250814")
    assert synced("channel", *narrow).status == 0
    several = synced("channel", "unpin", "stable")
    assert (several.status, "[MIR-131]" in several.err) == (1, True)
    first, second = (pin.id for pin in mut.mirror.channels.pins("stable"))
    assert synced("channel", "unpin", "stable", str(first)).status == 0
    gone = synced("channel", "unpin", "stable", "--json").json()
    assert [pin["id"] for pin in gone] == [second]
    assert synced("sync").status == 0
    assert noble(mut) == {"20250715", "20250814"}


def test_hold(synced, mut):
    assert synced("channel", "hold", "stable", "--reason", "freeze for the audit").status == 0
    assert "held: freeze for the audit" in synced("channel", "show", "stable").out
    assert "yes" in synced("channel", "list").out
    assert synced("sync", "--json").json()["status"] == "held"


def test_a_pin_without_a_version_is_wrong_usage(synced):
    ran = synced("channel", "pin", "stable", "20250615")
    assert (ran.status, "[MIR-111]" in ran.err) == (2, True)


def test_which_licences_a_channel_allows(synced):
    def shown():
        return synced("channel", "show", "stable", "--json").json()["channel"]["licences"]

    assert shown() == []
    assert synced("channel", "allow", "stable", "proprietary").status == 0
    assert "proprietary images" in synced("channel", "allow", "stable", "proprietary").err
    both = synced("channel", "allow", "stable", "subscription", "--json").json()
    assert both == {"channel": "stable", "licences": ["proprietary", "subscription"]}
    assert shown() == ["proprietary", "subscription"]
    assert [each["licences"] for each in synced("channel", "list", "--json").json()] == [shown()]
    assert "licences that it allows: proprietary, subscription" in (
        synced("channel", "show", "stable").out
    )
    assert synced("channel", "disallow", "stable", "proprietary").status == 0
    assert "free images only" in synced("channel", "disallow", "stable", "subscription").err
    assert shown() == []
    wrong = synced("channel", "allow", "stable", "everything")
    assert (wrong.status, "proprietary, subscription" in wrong.err) == (2, True)
    assert synced("channel", "allow", "nothing", "proprietary").status == 1
    entries = synced("audit", "list", "--action", "channel.licences", "--json").json()
    assert [each["after"] for each in entries] == [
        [],
        ["subscription"],
        ["proprietary", "subscription"],
        ["proprietary"],
    ]
    assert synced("audit", "list", "--action", "download", "--json").json() == []
