from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from mirror.errors import PluginBroken, SettingsInvalid
from mirror.sync.run import SyncOptions
from mirror.testing.running import running_mirror as make_mirror
from mirror.testing.sample_products import centos_products
from mirror.testing.sstream import mirrored_files, sstream_mirror

PAGE = Path(__file__).parents[3] / "docs/testing-plugins.md"
CENTOS = {product.name for product in centos_products()}


def test_three_lines_mirror_a_sample(running_mirror, sample_upstream, serve):
    running_mirror.add_source(sample_upstream, serve(sample_upstream.root).url)
    running_mirror.select("os=centos")
    result = running_mirror.sync()
    assert result.status == "published"
    assert {product for product, _ in running_mirror.versions()} >= CENTOS


def test_a_client_gets_what_was_published(running_mirror, sample_upstream, serve, tmp_path):
    running_mirror.add_source(sample_upstream, serve(sample_upstream.root).url)
    running_mirror.select()
    running_mirror.sync()
    outcome = sstream_mirror(
        running_mirror.channel_url(), tmp_path / "out", keyring=running_mirror.keyring
    )
    assert outcome.status == 0, outcome.errors
    assert mirrored_files(tmp_path / "out") == running_mirror.published()
    assert running_mirror.published() == sample_upstream.files()


def test_what_plugins_found_is_at_hand(running_mirror, sample_upstream, serve):
    running_mirror.add_source(sample_upstream, serve(sample_upstream.root).url)
    running_mirror.select("os=centos")
    running_mirror.sync()
    assert set(running_mirror.findings()) == running_mirror.versions()


def test_the_examples_of_the_page(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    examples = [block for block in blocks if "def test_" in block]
    assert len(examples) == 3
    (tmp_path / "test_examples.py").write_text("\n".join(examples))
    command = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert "3 passed" in done.stdout, done.stdout


async def test_in_an_async_test(running_mirror, sample_upstream, serve):
    running_mirror.add_source(sample_upstream, serve(sample_upstream.root).url)
    running_mirror.select("os=centos")
    assert running_mirror.sync().status == "published"
    assert (await asyncio.to_thread(running_mirror.sync)).status == "unchanged"


def test_what_is_published_is_served_at_once(running_mirror, sample_upstream, serve):
    running_mirror.add_source(sample_upstream, serve(sample_upstream.root).url)
    running_mirror.select("os=centos")
    with pytest.raises(FileNotFoundError):
        running_mirror.read("streams/v1/index.json")
    running_mirror.sync()
    before = running_mirror.read("streams/v1/index.json")
    sample_upstream.add_version(only="centos")
    sample_upstream.write()
    assert running_mirror.sync().added
    assert running_mirror.read("streams/v1/index.json") != before
    assert before not in running_mirror.documents().values()


def test_events_are_of_the_last_sync(running_mirror, sample_upstream, serve):
    running_mirror.add_source(sample_upstream, serve(sample_upstream.root).url)
    running_mirror.select("os=centos")
    running_mirror.sync(SyncOptions(dry_run=True))
    first = list(running_mirror.events)
    running_mirror.sync()
    assert first
    assert running_mirror.events != first


def test_faults_of_an_upstream(running_mirror, sample_upstream, misbehave):
    from mirror.testing.bad_upstream import flip_byte

    url, upstream = misbehave(sample_upstream.root)
    running_mirror.add_source(sample_upstream, url)
    running_mirror.select("os=centos")
    upstream.on("centos/8/*/root-tgz", flip_byte(at=100), times=None)
    result = running_mirror.sync()
    assert {each.about.split()[0] for each in result.left_out} == {
        "com.ubuntu.maas.stable:centos-bases:8:amd64"
    }


def test_the_server_has_the_same_settings(tmp_path):
    settings = {"plugins": {"allow": ["centos"]}, "server": {"metrics": "open"}}
    with make_mirror(tmp_path / "mirror", settings) as mirror:
        loaded = [r.name for r in mirror.mirror.plugins.records if r.status == "loaded"]
        assert loaded == ["centos"]
        with urllib.request.urlopen(f"{mirror.url}/healthz") as answer:
            assert answer.read() == b"ok\n"


def test_settings_that_do_not_exist(tmp_path):
    with (
        pytest.raises(SettingsInvalid, match="did you mean 'sync"),
        make_mirror(tmp_path / "mirror", {"sync": {"atempts": 1}}),
    ):
        pass


def test_settings_of_a_plugin_that_do_not_exist(tmp_path):
    settings = {"plugins": {"strict": True, "centos": {"colour": "red"}}}
    with (
        make_mirror(tmp_path / "mirror", settings) as mirror,
        pytest.raises(PluginBroken, match="colour"),
    ):
        assert mirror.mirror.plugins
