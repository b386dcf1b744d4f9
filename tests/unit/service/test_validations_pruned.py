"""What was found in versions goes with the last snapshot that had them."""

from __future__ import annotations

import textwrap
from datetime import timedelta

import pytest

from mirror.plugin_manager import load_plugins
from mirror.service import Mirror
from mirror.settings import RetentionSettings, StoreSettings

NOBLE = "24.04:amd64:ga"
PRODUCT = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"
BAD = "20250715"
"""The version that the plugin finds an error in."""

PLUGIN = """
    from mirror.api import Distribution, Finding, Severity, hookimpl

    class Strict(Distribution):
        id = "strict"

        def claims(self, product):
            return product.os == "ubuntu"

        def describe(self, product):
            return product.name

        def validate(self, product, version, files):
            if version.name == "20250715":
                yield Finding(Severity.ERROR, "strict-1", "", "is not to my taste")

    @hookimpl
    def mirror_distributions():
        return [Strict()]
"""


@pytest.fixture
async def ready(mut, sample_upstream, serve, install_plugin):
    """Return a mirror that keeps two snapshots, of two versions each."""
    install_plugin("strict", textwrap.dedent(PLUGIN), "1")
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", f"product_name~{NOBLE}", keep=2)
    settings = mut.mirror.settings.model_copy(
        update={
            "retention": RetentionSettings(keep=2, age=timedelta(0), unpulled=timedelta(0)),
            "store": StoreSettings(min_free=0, grace=timedelta(0)),
        }
    )
    mut.mirror.close()
    mut.mirror = Mirror.open(settings)
    mut.mirror.plugins = load_plugins(allow=["strict"], strict=True)
    yield mut
    mut.mirror.close()


def looked_at(mut) -> set[str]:
    rows = mut.mirror.catalog.database.rows("SELECT version FROM validations")
    return {version for (version,) in rows}


def in_snapshots(mut) -> set[str]:
    return {
        item.version
        for snapshot in mut.mirror.store.snapshots.ids()
        for item in mut.mirror.snapshots.show(snapshot).items
    }


async def newer(mut, sample_upstream, times: int) -> list[set[str]]:
    """Sync, and again after each newer version; return what was known after each."""
    known = []
    for _ in range(times):
        await mut.sync()
        known.append(looked_at(mut))
        sample_upstream.add_version(only=NOBLE)
        sample_upstream.write()
    return known


async def test_what_is_offered_or_in_a_snapshot_is_kept(ready, sample_upstream):
    known = await newer(ready, sample_upstream, 4)
    assert len(ready.mirror.store.snapshots.ids()) < 4
    assert BAD not in in_snapshots(ready)
    assert known[-1] == set().union(*known)  # upstream still lists all of them
    assert {BAD, "20250615"} <= known[-1] - in_snapshots(ready)


async def test_what_is_offered_no_more_goes_with_its_last_snapshot(ready, sample_upstream):
    await newer(ready, sample_upstream, 2)
    for version in (BAD, "20250615"):
        sample_upstream.remove_version(PRODUCT, version)
    sample_upstream.write()
    await ready.sync()
    assert "20250615" in in_snapshots(ready)
    assert {BAD, "20250615"} <= looked_at(ready)  # it goes no sooner than they do
    await newer(ready, sample_upstream, 3)
    assert "20250615" not in in_snapshots(ready)
    assert not {BAD, "20250615"} & looked_at(ready)
    assert in_snapshots(ready) <= looked_at(ready)
