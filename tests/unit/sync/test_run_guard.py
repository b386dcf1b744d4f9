"""Syncs that would take much away are refused, until that is meant."""

from __future__ import annotations

import pytest

from mirror.errors import WouldDropTooMuch

UBUNTU = "com.ubuntu.maas:stable:v3:download"


async def test_a_publish_that_would_drop_much_is_refused_until_it_is_meant(mut, ready):
    everything = "os~(ubuntu|centos)"
    mut.select(everything)
    first = await mut.sync()
    mut.mirror.selections.remove(2, by="test")
    dry = await mut.sync(dry_run=True)
    assert dry.refusal is not None
    assert (dry.refusal.code, dry.status) == ("MIR-114", "planned")
    with pytest.raises(WouldDropTooMuch, match="8 of 14 products"):
        await mut.sync()
    assert mut.mirror.channels.pointers() == {"stable": first.snapshot}
    with pytest.raises(WouldDropTooMuch):  # it is not forgotten because no source has changed
        await mut.sync()
    result = await mut.sync(accept_drop=True)
    assert (result.status, len(result.dropped), result.refusal) == ("published", 16, None)
    assert (await mut.sync()).status == "unchanged"


async def test_the_guard_refuses_before_anything_is_fetched(mut, sample_upstream, ready):
    mut.select("os~(ubuntu|centos)")
    await mut.sync()
    mut.mirror.selections.remove(2, by="test")
    sample_upstream.add_version()
    sample_upstream.write()
    ready.requests.clear()
    with pytest.raises(WouldDropTooMuch):
        await mut.sync()
    assert all(path.startswith("/streams/") for path in ready.paths())


async def test_the_share_that_may_go_can_be_set(mut, ready, settings):
    mut.select("os~(ubuntu|centos)")
    await mut.sync()
    mut.mirror.selections.remove(2, by="test")
    generous = settings.sync.model_copy(update={"max_drop": 0.6})
    mut.mirror.settings = settings.model_copy(update={"sync": generous})
    assert (await mut.sync()).status == "published"


async def test_versions_that_a_source_withdraws_by_the_dozen_are_refused(
    mut, sample_upstream, ready
):
    mut.select("os~(ubuntu|centos)")
    await mut.sync()
    before = mut.versions()
    for name, product in sample_upstream.products(UBUNTU).items():
        sample_upstream.remove_version(name, max(product["versions"]))
    sample_upstream.write()
    with pytest.raises(WouldDropTooMuch, match="8 of 28 versions"):
        await mut.sync()
    assert mut.versions() == before
