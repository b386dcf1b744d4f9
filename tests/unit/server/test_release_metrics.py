"""How many releases a plugin warns of: of each channel, as of today."""

from __future__ import annotations

import textwrap
from datetime import timedelta

import pytest

from mirror.errors import PluginBroken
from mirror.model import utcnow
from mirror.plugin_manager import load_plugins
from mirror.server.state_metrics import StateMetrics

PLUGIN = """
    from pathlib import Path

    from mirror.api import Distribution, Finding, Severity, hookimpl

    class Dated(Distribution):
        id = "dated"

        def claims(self, product):
            return product.os == "ubuntu"

        def describe(self, product):
            return product.name

        def notices(self, product, today):
            with Path(ASKED).open("a") as asked:
                asked.write(f"{today}\\n")
            if product.release in WARNED:
                yield Finding(Severity.WARNING, "dated-eol", "", "support has ended")
                yield Finding(Severity.WARNING, "dated-old", "", "it is old")
            yield Finding(Severity.NOTE, "dated-note", "", "it is blue")

    @hookimpl
    def mirror_distributions():
        return [Dated()]
"""


@pytest.fixture
def asked(tmp_path):
    return tmp_path / "asked"


@pytest.fixture
async def synced(mut, sample_upstream, serve, install_plugin, asked):
    """Return a mirror that has published two releases; plugins warn of those that are named."""

    def warn_of(*releases: str, version: str) -> None:
        constants = f"ASKED = {str(asked)!r}\nWARNED = {releases!r}\n"
        install_plugin("dated", constants + textwrap.dedent(PLUGIN), version)
        mut.mirror.plugins = load_plugins(allow=["dated"], strict=True)

    mut.warn_of = warn_of
    warn_of("noble", version="1")
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "release=noble", "arch=amd64")
    mut.select("os=ubuntu", "release=jammy", "arch=amd64")
    await mut.sync()
    return mut


def warnings(state: StateMetrics) -> dict[str, float]:
    [found] = [each for each in state.families() if each.name == "mirror_release_warnings"]
    return {sample.labels["channel"]: sample.value for sample in found.samples}


async def test_releases_are_counted_not_products_or_notices(synced):
    synced.mirror.channels.promote("site", "stable", by="test")
    published = synced.mirror.images.resources("stable").items
    assert len([each for each in published if each.release == "noble"]) > 1
    assert {each.release for each in published} > {"noble"}
    assert warnings(StateMetrics(lambda: synced.mirror)) == {"stable": 1, "site": 1}


async def test_plugins_are_asked_once_for_a_snapshot_and_day(synced, asked):
    state = StateMetrics(lambda: synced.mirror)
    assert warnings(state) == {"stable": 1}
    once = asked.read_text()
    assert len(once.splitlines()) == len(synced.mirror.images.resources("stable").items)
    asked.write_text("")
    synced.mirror.channels.promote("site", "stable", by="test")
    assert warnings(state) == warnings(state) == {"stable": 1, "site": 1}
    assert asked.read_text() == ""


async def test_another_day_snapshot_or_plugin_counts_anew(synced, asked, monkeypatch):
    state = StateMetrics(lambda: synced.mirror)
    assert warnings(state) == {"stable": 1}
    synced.warn_of("noble", "jammy", version="2")
    assert warnings(state) == {"stable": 2}
    for selection in synced.mirror.selections.list():
        if "release=noble" in selection.filters:
            synced.mirror.selections.remove(selection.id, by="test")
    await synced.sync(accept_drop=True)
    assert warnings(state) == {"stable": 1}
    tomorrow = utcnow() + timedelta(days=1)
    monkeypatch.setattr("mirror.server.state_metrics.utcnow", lambda: tomorrow)
    monkeypatch.setattr("mirror.service.images.utcnow", lambda: tomorrow)
    asked.write_text("")
    assert warnings(state) == {"stable": 1}
    assert str(tomorrow.date()) in asked.read_text()


async def test_releases_that_cannot_be_looked_at_say_so(synced):
    class Broken(type(synced.mirror)):
        @property
        def plugins(self):
            raise PluginBroken("it is broken")

    del synced.mirror.plugins
    synced.mirror.__class__ = Broken
    found = {each.name: each for each in StateMetrics(lambda: synced.mirror).families()}
    assert "mirror_release_warnings" not in found
    up = {each.labels["part"]: each.value for each in found["mirror_part_up"].samples}
    assert (up["releases"], up["channels"]) == (0, 1)
