"""Whole syncs, from a real HTTP server into a real store."""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import UTC, datetime, timedelta

import pytest

from mirror.errors import (
    Busy,
    ChannelHeld,
    ChannelMoved,
    Equivocation,
    NoSpace,
    NotFound,
    NothingSelected,
    Rollback,
    Stale,
    Unreachable,
    WouldDropTooMuch,
)
from mirror.model import BootSource, Pin
from mirror.settings import StoreSettings
from mirror.store import content_lock
from mirror.sync.events import Event, FileDone, Note, Planned, SourceChecked
from mirror.sync.run import SyncOptions
from mirror.testing.bad_upstream import BadUpstream, flip_byte
from mirror.testing.sample import SampleUpstream

UBUNTU = "com.ubuntu.maas:stable:v3:download"


@pytest.fixture
def ready(mut, sample_upstream, serve):
    """A mirror with one source and a selection, and what serves the source."""
    served = serve(sample_upstream.root)
    mut.add_source(sample_upstream, served.url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    return served


def expected_files(sample: SampleUpstream, *prefixes: str) -> dict[str, tuple[str, int]]:
    return {
        path: ref
        for path, ref in sample.files().items()
        if path.startswith(prefixes) and "pxe/amd64" not in path
    }


async def test_the_first_sync_takes_what_is_selected_and_the_bootloaders(
    mut, sample_upstream, ready
):
    result = await mut.sync()
    assert (result.status, result.exit_status) == ("published", 0)
    published = mut.published()
    assert published == expected_files(sample_upstream, "noble/amd64/", "bootloaders/")
    for sha256, size in published.values():
        data = mut.mirror.store.blobs.path(sha256).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (sha256, size)
    assert mut.mirror.channels.pointers() == {"stable": result.snapshot}


async def test_every_step_is_said(mut, ready):
    result = await mut.sync()
    kinds = {type(event) for event in mut.events}
    assert {SourceChecked, Planned, FileDone, Note} <= kinds
    planned = next(event for event in mut.events if isinstance(event, Planned))
    done = [event for event in mut.events if isinstance(event, FileDone)]
    assert planned.files == len(done) == len(result.to_fetch)
    assert planned.bytes == sum(event.size for event in done) == result.bytes_to_fetch


async def test_with_nothing_new_there_is_one_conditional_request(mut, ready):
    first = await mut.sync()
    ready.requests.clear()
    again = await mut.sync()
    assert (again.status, again.snapshot, again.exit_status) == ("unchanged", first.snapshot, 0)
    assert [(r.path, r.status) for r in ready.requests] == [("/streams/v1/index.sjson", 304)]


async def test_nothing_new_costs_little_cpu(mut, ready):
    await mut.sync()
    await mut.sync()
    started = time.process_time()
    for _ in range(5):
        await mut.sync()
    assert (time.process_time() - started) / 5 < 0.1  # the bar is 20 ms; this machine may be busy


async def test_a_new_version_fetches_only_its_files(mut, sample_upstream, ready):
    first = await mut.sync()
    added = sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.write()
    ready.requests.clear()
    second = await mut.sync()
    assert second.snapshot != first.snapshot
    [(name, version)] = added.items()
    assert second.added == (f"{name} {version}",)
    fetched = [path for path in ready.paths() if not path.startswith("/streams/")]
    assert fetched
    assert all(f"/{version}/" in path for path in fetched)


async def test_another_selection_is_taken_from_an_unchanged_source(mut, sample_upstream, ready):
    await mut.sync()
    mut.select("os=centos")
    result = await mut.sync()
    assert result.status == "published"
    wanted = expected_files(sample_upstream, "noble/amd64/", "bootloaders/", "centos/")
    assert mut.published() == wanted


async def test_removing_a_selection_removes_its_images(mut, ready):
    mut.select("os=centos")
    await mut.sync()
    mut.mirror.catalog.remove_selection(2)
    result = await mut.sync()
    assert not any(path.startswith("centos/") for path in mut.published())
    assert any("centos" in version for version in result.dropped)


async def test_a_change_that_concerns_nothing_of_ours_publishes_nothing(
    mut, sample_upstream, ready
):
    first = await mut.sync()
    sample_upstream.add_version(only="22.04")
    sample_upstream.write()
    second = await mut.sync()
    assert second.snapshot == first.snapshot
    assert len(mut.mirror.snapshots.list()) == 1
    assert (await mut.sync()).status == "unchanged"


async def test_a_dry_run_fetches_and_changes_nothing(mut, ready):
    result = await mut.sync(dry_run=True)
    assert (result.status, result.snapshot) == ("planned", "")
    assert result.bytes_to_fetch == sum(each.size for each in result.to_fetch) > 0
    assert all(path.startswith("/streams/") for path in ready.paths())
    assert mut.mirror.snapshots.list() == []
    await mut.sync()
    after = await mut.sync(dry_run=True)
    assert (after.to_fetch, after.added, after.dropped) == ((), (), ())


async def test_published_times_strictly_increase(mut, sample_upstream, ready):
    times = []
    for _ in range(3):
        await mut.sync()
        times.append(mut.mirror.snapshots.show("stable").updated)
        sample_upstream.add_version(only="24.04:amd64:ga")
        sample_upstream.write()
    assert times == sorted(set(times))


async def test_a_bad_file_quarantines_its_version_and_the_rest_is_published(mut, sample_upstream):
    upstream = BadUpstream(sample_upstream.root)
    upstream.on("noble/amd64/20250715/hwe-24.04/*/boot-kernel", flip_byte(), times=None)
    async with upstream.serve() as url:
        mut.add_source(sample_upstream, url)
        mut.select("os=ubuntu", "arch=amd64", "release=noble")
        result = await mut.sync()
        assert result.exit_status == 3
        [left_out] = result.left_out
        assert left_out.code == "MIR-212"
        assert left_out.about.endswith("24.04:amd64:hwe-24.04 20250715")
        bad = ("v3:boot:24.04:amd64:hwe-24.04", "20250715")
        good = ("v3:boot:24.04:amd64:ga-24.04", "20250715")
        assert bad not in mut.versions()
        assert good in mut.versions()
        upstream.behave()
        healed = await mut.sync()
    assert healed.exit_status == 0
    assert bad in mut.versions()


async def test_a_version_that_fails_validation_is_not_fetched_again(mut, sample_upstream, serve):
    page = sample_upstream.put("noble/page", b"<html>log in</html>")

    def replace_kernel(document):
        product = document["products"]["com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"]
        item = product["versions"]["20250715"]["items"]["boot-kernel"]
        item.update(page)

    sample_upstream.edit_products(replace_kernel)
    sample_upstream.write()
    served = serve(sample_upstream.root)
    mut.add_source(sample_upstream, served.url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    result = await mut.sync()
    assert [each.code for each in result.left_out] == ["MIR-603"]
    assert "the boot-kernel is a web page (ubuntu-boot-kernel)" in result.left_out[0].what
    served.requests.clear()
    again = await mut.sync()
    assert again.left_out == result.left_out
    assert all(path.startswith("/streams/") for path in served.paths())


async def test_a_hostile_path_costs_one_version(mut, sample_upstream, ready):
    def climb(document):
        product = document["products"]["com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"]
        product["versions"]["20250715"]["items"]["boot-kernel"]["path"] = "../../etc/passwd"

    await mut.sync()
    before = mut.versions()
    sample_upstream.edit_products(climb)
    sample_upstream.set_updated(sample_upstream.updated + timedelta(minutes=1))
    sample_upstream.write()
    result = await mut.sync()
    assert [each.code for each in result.left_out] == ["MIR-304"]
    assert mut.versions() == before


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda s: s.set_updated(s.updated - timedelta(days=1)), Rollback),
        (lambda s: s.edit_products(lambda d: d["products"].popitem()), Equivocation),
    ],
)
async def test_a_source_that_goes_back_is_refused_and_the_snapshot_stays(
    mut, sample_upstream, ready, change, error
):
    first = await mut.sync()
    change(sample_upstream)
    sample_upstream.write()
    with pytest.raises(error):
        await mut.sync()
    assert mut.mirror.channels.pointers() == {"stable": first.snapshot}
    assert (await mut.sync(accept_rollback=True)).exit_status == 0


async def test_a_frozen_source_is_refused(mut, signing_key, tmp_path, serve):
    old = SampleUpstream.create(
        tmp_path / "old", key=signing_key, updated=datetime.now(UTC) - timedelta(days=8)
    )
    served = serve(old.root)
    mut.add_source(old, served.url)
    mut.select("os=ubuntu")
    with pytest.raises(Stale, match=r"8\.0 days old"):
        await mut.sync()


async def test_a_source_that_freezes_later_is_refused_although_nothing_changed(
    mut, signing_key, tmp_path, serve
):
    now = datetime.now(UTC).replace(microsecond=0)
    sample = SampleUpstream.create(tmp_path / "fresh", key=signing_key, updated=now)
    mut.add_source(sample, serve(sample.root).url, max_staleness=timedelta(seconds=4))
    mut.select("os=centos")
    first = await mut.sync()
    await asyncio.sleep((now + timedelta(seconds=4.1) - datetime.now(UTC)).total_seconds())
    with pytest.raises(Stale):
        await mut.sync()
    assert mut.mirror.channels.pointers() == {"stable": first.snapshot}


async def test_a_vanished_product_is_kept_and_noted(mut, sample_upstream, ready):
    await mut.sync()
    before = mut.versions()
    name = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:hwe-24.04"
    sample_upstream.remove_product(name)
    sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.write()
    result = await mut.sync()
    assert result.notes[name] == ["vanished upstream: kept as it was"]
    assert {v for v in before if "hwe" in v[0]} <= mut.versions()


async def test_of_two_sources_one_may_fail(mut, sample_upstream, ready, free_port):
    await mut.sync()
    before = mut.versions()
    keyring = str(sample_upstream.keyring)
    gone = BootSource(name="gone", url=f"http://127.0.0.1:{free_port}/", keyring=keyring)
    mut.mirror.sources.add(gone, by="test")
    result = await mut.sync()
    assert result.exit_status == 3
    assert [(each.about, each.code) for each in result.sources] == [("gone", "MIR-401")]
    assert mut.versions() == before
    sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.write()
    later = await mut.sync()
    assert (later.status, later.exit_status) == ("published", 3)


async def test_a_source_that_is_not_there_is_an_error(mut, sample_upstream, free_port):
    mut.add_source(sample_upstream, f"http://127.0.0.1:{free_port}/")
    mut.select("os=ubuntu")
    with pytest.raises(Unreachable, match=f"127.0.0.1:{free_port}"):
        await mut.sync()


async def test_two_sources_are_merged_by_priority(
    mut, sample_upstream, signing_key, tmp_path, serve
):
    other = SampleUpstream.create(tmp_path / "other", key=signing_key, versions=3)
    mut.add_source(sample_upstream, serve(sample_upstream.root).url, name="low", priority=1)
    mut.add_source(other, serve(other.root).url, name="high", priority=2)
    mut.select("os=centos", source="low")
    mut.select("os=ubuntu", "release=noble", "arch=amd64", source="high", keep=1)
    result = await mut.sync()
    sources = {(i.path.split("/")[0], i.source) for i in mut.mirror.snapshots.show("stable").items}
    # Bootloaders are wanted of both; CentOS of one only, although the other has it too.
    assert sources == {("bootloaders", "high"), ("noble", "high"), ("centos", "low")}
    assert any("also offered by 'low'" in note for notes in result.notes.values() for note in notes)


async def test_only_one_source_may_be_synced(
    mut, sample_upstream, ready, signing_key, tmp_path, serve
):
    other = SampleUpstream.create(tmp_path / "other", key=signing_key)
    served = serve(other.root)
    mut.add_source(other, served.url, name="other", priority=-1)
    await mut.sync(only=("main",))
    assert served.requests == []
    with pytest.raises(NotFound, match="'nobody'"):
        await mut.sync(only=("nobody",))


async def test_nothing_to_sync_is_said(mut, sample_upstream, serve):
    with pytest.raises(NothingSelected, match="no enabled boot source"):
        await mut.sync()
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    with pytest.raises(NothingSelected, match="nothing is selected"):
        await mut.sync()
    mut.select("release=plan9", source="main")
    mut.mirror.catalog.remove_selection(1)
    mut.select("os=windows")
    result = await mut.sync()
    assert {product for product, _ in mut.versions()} == {
        "1:grub-efi-signed:uefi:amd64",
        "1:grub-efi:uefi:arm64",
        "1:grub-ieee1275:open-firmware:ppc64el",
        "1:pxelinux:pxe:i386",
    }
    assert result.status == "published"


async def test_a_disk_that_is_too_full_is_said_before_the_first_byte(mut, ready, settings):
    full = settings.model_copy(update={"store": StoreSettings(min_free=1 << 60)})
    mut.mirror.settings = full
    with pytest.raises(NoSpace, match="are to stay free"):
        await mut.sync()
    assert all(path.startswith("/streams/") for path in ready.paths())


async def test_two_syncs_at_once_take_turns(mut, ready):
    with content_lock(mut.root):
        with pytest.raises(Busy):
            await mut.sync(wait=False)
        waiting = asyncio.create_task(mut.sync())
        await asyncio.sleep(0.1)
        assert not waiting.done()
    assert (await waiting).status == "published"
    assert any(isinstance(e, Note) and e.message.startswith("waiting") for e in mut.events)


async def test_an_unsigned_source_must_be_named_so(mut, tmp_path, serve):
    unsigned = SampleUpstream.create(tmp_path / "unsigned")
    mut.add_source(unsigned, serve(unsigned.root).url)
    mut.select("os=centos")
    assert (await mut.sync()).status == "published"
    state = mut.mirror.store.snapshots.load(mut.mirror.channels.pointers()["stable"]).sources[
        "main"
    ]
    assert state.fingerprint == ""


async def test_the_evidence_is_kept(mut, sample_upstream, ready):
    result = await mut.sync()
    state = mut.mirror.store.snapshots.load(result.snapshot).sources["main"]
    assert state.fingerprint == sample_upstream.fingerprint
    for path, ref in state.files.items():
        stored = mut.mirror.store.blobs.path(ref.sha256).read_bytes()
        assert stored == (sample_upstream.root / path).read_bytes()


# --- pins, the guard ------------------------------------------------------------------------------


def pin(mut, version: str = "", *filters: str) -> Pin:
    return mut.mirror.catalog.add_pin(Pin(0, "stable", version, filters, reason="a test"))


async def test_a_held_channel_is_left_alone_and_says_so(mut, sample_upstream, ready):
    first = await mut.sync()
    hold = pin(mut)
    sample_upstream.add_version()
    sample_upstream.write()
    ready.requests.clear()
    held = await mut.sync()
    assert (held.status, held.snapshot, held.reason) == ("held", first.snapshot, "a test")
    assert (held.exit_status, ready.requests) == (0, [])
    dry = await mut.sync(dry_run=True)
    assert dry.status == "planned"
    assert dry.added
    mut.mirror.catalog.remove_pin(hold.id)
    assert (await mut.sync()).status == "published"


async def test_a_channel_that_is_held_while_a_sync_waits_is_left_alone(mut, ready):
    with content_lock(mut.root):
        waiting = asyncio.create_task(mut.sync())
        await asyncio.sleep(0.1)
        pin(mut)
    assert (await waiting).status == "held"


async def test_a_channel_that_is_held_while_it_is_synced_is_not_switched(mut, ready):
    def hold_at_the_end(event: Event) -> None:
        if isinstance(event, FileDone) and not mut.mirror.catalog.pins("stable"):
            pin(mut)

    with pytest.raises(ChannelHeld):
        await mut.mirror.syncs.run(SyncOptions(), hold_at_the_end)
    assert mut.mirror.channels.pointers() == {}


async def test_a_promotion_while_a_channel_is_synced_is_not_undone(mut, sample_upstream, ready):
    first = await mut.sync()
    sample_upstream.add_version()
    sample_upstream.write()
    await mut.sync()
    sample_upstream.add_version()
    sample_upstream.write()

    def promote_at_the_end(event: Event) -> None:
        if isinstance(event, FileDone) and mut.mirror.channels.current("stable") != first.snapshot:
            mut.mirror.store.channels.switch("stable", first.snapshot, "promoted")

    with pytest.raises(ChannelMoved):
        await mut.mirror.syncs.run(SyncOptions(), promote_at_the_end)
    assert mut.mirror.channels.current("stable") == first.snapshot
    assert (await mut.sync()).status == "published"


async def test_a_channel_that_was_switched_is_brought_up_to_date_again(mut, sample_upstream, ready):
    """Although no source has changed since: what the channel has is part of what was settled."""
    first = await mut.sync()
    sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.write()
    second = await mut.sync()
    after = mut.versions()
    mut.mirror.store.channels.switch("stable", first.snapshot, "rolled back")
    assert mut.versions() != after
    third = await mut.sync()
    assert (third.status, third.snapshot != second.snapshot) == ("published", True)
    assert mut.versions() == after
    assert (await mut.sync()).status == "unchanged"


async def test_a_pin_publishes_one_version_until_it_is_removed(mut, sample_upstream, ready):
    await mut.sync()
    ga = "v3:boot:24.04:amd64:ga-24.04"
    pinned = pin(mut, "20250615", "subarch=ga-24.04", "arch=amd64")
    result = await mut.sync()
    assert result.dropped == (f"com.ubuntu.maas.stable:{ga} 20250715",)
    for _ in range(3):  # upstream goes on until it lists the pinned version no more
        sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.remove_version(f"com.ubuntu.maas.stable:{ga}", "20250615")
    sample_upstream.write()
    await mut.sync()
    assert {version for product, version in mut.versions() if product == ga} == {"20250615"}
    mut.mirror.catalog.remove_pin(pinned.id)
    await mut.sync()
    assert {version for product, version in mut.versions() if product == ga} == {
        "20250913",
        "20251013",
    }


async def test_a_pin_brings_a_version_back_from_an_older_snapshot(mut, sample_upstream, ready):
    await mut.sync()
    old = {path: ref for path, ref in mut.published().items() if "/20250615/" in path}
    gone = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"
    for _ in range(2):
        sample_upstream.add_version(only="24.04:amd64:ga")
    sample_upstream.remove_version(gone, "20250615")
    sample_upstream.write()
    await mut.sync()
    assert (gone.removeprefix("com.ubuntu.maas.stable:"), "20250615") not in mut.versions()
    pin(mut, "20250615", "subarch=ga-24.04")
    ready.requests.clear()
    result = await mut.sync()
    assert (result.status, result.left_out) == ("published", ())
    assert all(path.startswith("/streams/") for path in ready.paths())
    ga = {path for path in mut.published() if path.startswith("noble/amd64/20250615/ga-24.04/")}
    assert ga == {path for path in old if path.startswith("noble/amd64/20250615/ga-24.04/")}


async def test_a_pin_to_a_version_that_is_nowhere_changes_nothing_and_is_said(mut, ready):
    await mut.sync()
    before = mut.versions()
    pin(mut, "19990101", "subarch=ga-24.04")
    result = await mut.sync()
    assert mut.versions() == before
    name = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"
    assert result.notes[name] == ["pinned to 19990101, which can't be had: as it was"]


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
