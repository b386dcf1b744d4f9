"""What plugins found in versions, and say of releases: wherever a version is shown."""

from __future__ import annotations

import asyncio
import time
from datetime import date

import pytest
from finding import FINDING

from mirror.catalog.validations import Validation, content_digest
from mirror.cli.findings import tally
from mirror.jobs.run import _MOST_FINDINGS
from mirror.model import Finding, Item, Product, Severity, Snapshot, Version, utcnow
from mirror.plugin_manager import load_plugins
from mirror.service.notices import MOST, by_release, notices_of
from mirror.sync.plan import Planned
from mirror.sync.published import store_products
from mirror.sync.resources import BootResource, ResourceVersion

FIRST, SECOND, THIRD = "20250615", "20250715", "20250814"
GA = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"
HWE = GA.replace("ga-", "hwe-")
MANY = 20_000
TODAY = date(2026, 11, 24)

WARNED = ("warning", "tested-kernel", "boot-kernel")
NOTED = ("note", "tested-small", "")
CUT = ("error", "tested-cut", "squashfs: superblock")


def briefly(findings):
    return [(each.severity.value, each.code, each.where) for each in findings]


@pytest.fixture
def ready(mut, sample_upstream, serve, install_plugin):
    install_plugin("tested", FINDING)
    mut.mirror.plugins = load_plugins(allow=["tested"], strict=True)
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64")
    return mut


async def with_a_bad_version(mut, sample_upstream):
    """Sync twice; the newest noble is condemned the second time. Return both results."""
    first = await mut.sync()
    sample_upstream.add_version(only="24.04:amd64")
    sample_upstream.write()
    return first, await mut.sync()


async def test_what_a_channel_publishes(ready):
    await ready.sync()
    ga, hwe = ready.mirror.images.resources("stable", release="noble").items
    for version in ga.versions:
        assert briefly(version.findings) == [NOTED, WARNED]
        assert version.judge == "tested=1.5"
    for version in hwe.versions:
        assert (version.findings, version.judge) == ((), "tested=1.5")
    boot = ready.mirror.images.resources("stable", os="pxelinux").items
    assert all(version.judge == "" for each in boot for version in each.versions)


async def test_findings_are_those_of_now_and_of_these_bytes(ready):
    await ready.sync()
    validations = ready.mirror.catalog.validations
    digest = ready.mirror.images.resources("stable", release="noble").items[0].versions[0].digest
    wrong = Finding(Severity.ERROR, "tested-later", "", "seen later")
    validations.record(
        [
            Validation(GA, FIRST, digest, "tested=2", (wrong,)),
            Validation(GA, SECOND, "0" * 64, "tested=2", (wrong,)),  # same name, other bytes
        ]
    )
    old, new = ready.mirror.images.resources("stable", release="noble").items[0].versions
    assert (old.judge, briefly(old.findings)) == ("tested=2", [("error", "tested-later", "")])
    assert (new.judge, briefly(new.findings)) == ("tested=1.5", [NOTED, WARNED])


async def test_what_is_offered_also_in_a_version_that_was_condemned(ready, sample_upstream):
    await with_a_bad_version(ready, sample_upstream)
    ga, hwe = ready.mirror.images.available(release="noble", arch="amd64").items
    assert (ga.version, hwe.version) == (THIRD, THIRD)
    assert briefly(ga.findings) == [NOTED, WARNED, CUT]
    assert briefly(hwe.findings) == [CUT]
    assert "[MIR-603]" in hwe.reason
    assert f"version {THIRD} is left out" in hwe.reason
    [arm, *_] = ready.mirror.images.available(release="noble", arch="arm64").items
    assert (arm.judge, arm.findings) == ("", ())


async def test_a_snapshot_and_its_pages(ready):
    await ready.sync()
    shown = ready.mirror.snapshots.show("stable")
    found = {(each.product, each.version): each for each in shown.versions}
    assert {(i.product, i.version) for i in shown.items} == set(found)
    assert briefly(found[GA, FIRST].findings) == [NOTED, WARNED]
    assert found[HWE, FIRST].findings == ()
    assert found[GA, FIRST].bytes == sum(
        item.size for item in shown.items if (item.product, item.version) == (GA, FIRST)
    )
    bare = ready.mirror.snapshots.contents(shown.id)
    assert all(each.findings == () for each in bare.versions)
    assert ready.mirror.snapshots.judged(bare.versions) == shown.versions


async def test_what_differs_between_snapshots(ready, sample_upstream):
    first = await ready.sync()
    sample_upstream.add_version(only="22.04:amd64")
    sample_upstream.write()
    await ready.sync()
    found = await ready.mirror.snapshots.diff(first.snapshot, "stable")
    jammy = next(each for each in found.products if each.product.endswith("ga-22.04"))
    assert [(each.version, briefly(each.findings)) for each in (*jammy.added, *jammy.removed)] == [
        (THIRD, [NOTED, WARNED]),
        (FIRST, [NOTED, WARNED]),
    ]
    assert {each.judge for each in jammy.added} == {"tested=1.5"}
    hwe = next(each for each in found.products if each.product.endswith("hwe-22.04"))
    assert hwe.added[0].findings == ()


async def test_a_sync_tells_what_was_found_this_time(ready, sample_upstream):
    first, second = await with_a_bad_version(ready, sample_upstream)
    assert {(each.product, each.version) for each in first.findings} >= {(GA, FIRST), (GA, SECOND)}
    assert all(briefly(each.findings) == [WARNED] for each in first.findings)
    assert [(each.product, each.version) for each in second.findings] == [(GA, THIRD), (HWE, THIRD)]
    assert [briefly(each.findings) for each in second.findings] == [[CUT, WARNED], [CUT]]
    assert second.exit_status == 3
    third = await ready.sync()
    assert third.findings == ()


async def test_the_log_of_a_job_has_them_one_a_line(ready, sample_upstream):
    await with_a_bad_version(ready, sample_upstream)
    job, *_ = ready.mirror.jobs.list(limit=1)
    lines = [(line.level, line.message) for line in ready.mirror.jobs.log(job.id, limit=-1)]
    assert (
        "error",
        f"found: {GA} {THIRD}: squashfs: superblock: it is cut [tested-cut]",
    ) in lines
    assert (
        "warning",
        f"found: {GA} {THIRD}: boot-kernel: odd version [tested-kernel]",
    ) in lines
    assert not any("tested-small" in message for _, message in lines)


async def test_many_findings_are_summed_up_in_the_log(ready, install_plugin):
    install_plugin(
        "tested",
        FINDING.replace(
            'if "ga-" in product.name:',
            "for n in range(40):\n"
            '            yield Finding(Severity.WARNING, f"tested-{n}", "", "x")\n'
            '        if "ga-" in product.name:',
        ),
        "2",
    )
    ready.mirror.plugins = load_plugins(allow=["tested"], strict=True)
    result = await ready.sync()
    count = sum(len(each.findings) for each in result.findings)
    assert count > 200
    [job] = ready.mirror.jobs.list(limit=1)
    said = [line.message for line in ready.mirror.jobs.log(job.id, limit=-1)]
    found = [line for line in said if line.startswith("found: ")]
    assert _MOST_FINDINGS < len(found) < 2 * _MOST_FINDINGS
    more = count - (len(found) - 1)
    assert found[-1] == (f"found: {more} findings more: mirror channel images stable --findings")


# --- notices --------------------------------------------------------------------------------------


async def test_notices_are_asked_for_when_they_are_shown(ready):
    await ready.sync()
    ga, _ = ready.mirror.images.resources("stable", release="noble").items
    [notice] = ga.notices
    assert notice.message.startswith(f"{utcnow():%Y-%m-%d}: support ends 2029-")
    [jammy, *_] = ready.mirror.images.resources("stable", release="jammy").items
    [failed] = jammy.notices
    assert (failed.code, failed.severity) == ("plugin-failed", Severity.WARNING)
    assert "no idea" in failed.message
    assert "'tested'" in failed.message
    noble, jammy = sorted(
        ready.mirror.images.notices("stable"), key=lambda each: each.release, reverse=True
    )
    assert (noble.release, noble.products, noble.code) == ("noble", 2, "tested-support")
    assert (jammy.release, jammy.code) == ("jammy", "plugin-failed")


def resource(**more) -> BootResource:
    fields = dict.fromkeys(("os", "release", "arch", "subarch", "label", "title", "source"), "x")
    about = {**fields, "product": "p", "distribution": "tested", "versions": ()}
    return BootResource(**{**about, **more})


@pytest.mark.parametrize(
    "body",
    [
        "return None",
        "return ['support ends']",
        "yield 5",
        "return product.versions[0].items[0]",
        "return [Finding('grave', 'tested-x', '', 'x')]",
        "return [Finding(Severity.NOTE, 'tested-x', '', 'x\\ud800')]",
        "raise SystemExit(3)",
        "raise type('Odd', (Exception,), {'__repr__': lambda self: 1 / 0})",
    ],
)
def test_a_plugin_that_can_not_say_hurts_nothing(install_plugin, body):
    head = FINDING.partition("        ends = ")[0]
    tail = "\n@hookimpl\ndef mirror_distributions():\n    return [Tested()]\n"
    install_plugin("tested", f"{head}        {body}\n{tail}")
    plugins = load_plugins(allow=["tested"], strict=True)
    [notice] = notices_of(resource(versions=(ResourceVersion("1", 5),)), plugins, TODAY)
    assert notice.code == "plugin-failed"
    assert notices_of(resource(distribution="gone"), plugins, TODAY) == ()
    gone = resource(distribution="gone", attributes={"os": "ubuntu"})
    assert [each.code for each in notices_of(gone, plugins, TODAY)] == ["plugin-failed"]


def test_a_plugin_that_never_ends_is_heard_for_a_while(install_plugin):
    head = FINDING.partition("        ends = ")[0]
    endless = "        while True:\n            yield Finding(Severity.NOTE, 'tested-x', '', 'x')\n"
    tail = "\n@hookimpl\ndef mirror_distributions():\n    return [Tested()]\n"
    install_plugin("tested", head + endless + tail)
    plugins = load_plugins(allow=["tested"], strict=True)
    assert len(notices_of(resource(), plugins, TODAY)) == MOST


def test_notices_of_products_are_put_together_by_release():
    def said(severity, code, message="m"):
        return Finding(severity, code, "", message)

    ends = said(Severity.WARNING, "ends", "ends soon")
    found = by_release(
        [
            resource(release="a", notices=(ends, said(Severity.NOTE, "n"))),
            resource(release="a", notices=(ends, ends)),
            resource(release="b", notices=(said(Severity.ERROR, "ended"),)),
            resource(release="c"),
        ]
    )
    assert [(each.release, each.severity, each.code, each.products) for each in found] == [
        ("b", Severity.ERROR, "ended", 1),
        ("a", Severity.WARNING, "ends", 2),
        ("a", Severity.NOTE, "n", 1),
    ]
    assert found[1].message == "ends soon"


# --- how they are counted, and how quickly --------------------------------------------------------


def test_how_they_are_counted():
    error, warning, note = (Finding(kind, "c", "", "m") for kind in Severity)
    assert tally((), "") == ""
    assert tally((), "tested=1") == "none"
    assert tally((note, error, note, warning), "tested=1") == "1 error, 1 warning, 2 notes"


def many_products():
    for n in range(MANY):
        items = (Item("a", "a", f"noble/amd64/1/{n}/a", "0" * 64, 7),)
        about = {"os": "ubuntu", "release": f"r{n % 30}", "arch": "amd64", "subarch": f"ga-{n:05}"}
        about |= {"label": "stable", "kflavor": "generic", "support_eol": "2029-05-31"}
        yield Planned(Product(f"p{n:05}", "content", about, (Version("1", items),)), "main")


async def test_a_page_of_many_is_quick_with_what_was_found(mut, install_plugin):
    install_plugin("tested", FINDING)
    mut.mirror.plugins = load_plugins(allow=["tested"], strict=True)
    mut.select("os=ubuntu")
    store, now = mut.mirror.store, utcnow()
    products = list(many_products())
    snapshot = Snapshot(
        created=now, updated=now, files={}, products=store_products(products, store.blobs)
    )
    store.channels.switch("stable", store.snapshots.save(snapshot), "test")
    found = (Finding(Severity.WARNING, "tested-x", "a", "m"),)
    mut.mirror.catalog.validations.record(
        Validation(
            each.product.name, "1", content_digest(each.product.versions[0]), "tested=1.5", found
        )
        for each in products
    )
    ask = mut.mirror.images.resources
    first = await asyncio.to_thread(ask, "stable")
    times: list[float] = []
    after = first.next
    while after and len(times) < 50:
        began = time.thread_time()
        page = ask("stable", after=after)
        times.append(time.thread_time() - began)  # other processes do not count
        assert all(version.findings == found for each in page.items for version in each.versions)
        after = page.next
    assert sorted(times)[len(times) // 2] < 0.05
