"""What an operator does with channels, as clients see it that we did not write.

After each step `sstream-query` shows exactly what the channel should have, MAAS could read it, its
time has grown, and a mirror of the mirror takes it.
"""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest
from harness import Cli, MirrorUnderTest

from mirror.model import BootSource, Selection
from mirror.service import Mirror
from mirror.settings import Settings, StoreSettings, SyncSettings
from mirror.simplestreams.lint import lint_stream
from mirror.simplestreams.timestamps import parse_updated
from mirror.testing.sstream import sstream_query

STREAM = "streams/v1"
NOBLE, JAMMY = "24.04", "22.04"
FIRST, SECOND, THIRD, FOURTH = "20250615", "20250715", "20250814", "20250913"


@dataclass
class Watched:
    """A served mirror, a mirror of it, and what was seen so far."""

    url: str
    keyring: Path
    cli: Cli
    upstream: MirrorUnderTest
    downstream: MirrorUnderTest
    times: dict[str, list[datetime]] = field(default_factory=dict)

    def __call__(self, *arguments: str) -> None:
        ran = self.cli(*arguments)
        assert ran.status == 0, (arguments, ran.err)

    def check(self, channel: str, **versions: set[str]) -> None:
        """Assert that clients see just these versions of noble and jammy on the channel."""
        snapshot = self.upstream.mirror.store.snapshots.load(
            self.upstream.mirror.channels.current(channel)
        )
        self._wait_until_served(channel, snapshot.updated)
        listed = sstream_query(f"{self.url}/images/{channel}/", keyring=self.keyring)
        for codename, wanted in versions.items():
            found = {i["version_name"] for i in listed if i.get("release") == codename}
            assert found == wanted, (channel, codename)
        shown = self.upstream.mirror.snapshots.show(channel).items
        assert {(i["path"], i["sha256"]) for i in listed} == {(i.path, i.sha256) for i in shown}
        assert any(i["product_name"].startswith("com.ubuntu.maas.stable:1:") for i in listed)
        self._lint(channel)
        seen = self.times.setdefault(channel, [])
        if not seen or snapshot.updated != seen[-1]:
            assert not seen or snapshot.updated > seen[-1], channel
            seen.append(snapshot.updated)
        self._mirror_of_the_mirror(channel)

    def _lint(self, channel: str) -> None:
        files = {"index": self._get(f"{channel}/{STREAM}/index.json")}
        index = json.loads(files["index"])
        stream = {f"{STREAM}/index.json": files["index"]}
        for entry in index["index"].values():
            stream[entry["path"]] = self._get(f"{channel}/{entry['path']}")
        assert [f for f in lint_stream(stream) if f.effect == "fails"] == []

    def _mirror_of_the_mirror(self, channel: str) -> None:
        result = self.downstream.sync_now(channel=channel, only=(channel,), accept_drop=True)
        assert (result.sources, result.left_out) == ((), ()), result
        assert result.status in {"published", "unchanged"}
        assert self.downstream.published(channel) == self.upstream.published(channel)

    def _wait_until_served(self, channel: str, updated: datetime) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            index = json.loads(self._get(f"{channel}/{STREAM}/index.json"))
            if parse_updated(index["updated"]) == updated:
                return
            time.sleep(0.1)
        raise AssertionError(f"{channel} is not served as of {updated}")

    def _get(self, path: str) -> bytes:
        try:
            with urllib.request.urlopen(f"{self.url}/images/{path}") as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return b'{"updated": "Thu, 01 Jan 1970 00:00:00 +0000"}'


@pytest.fixture
def watched(cli, mut, tmp_path, sample_upstream, serve):
    upstream = serve(sample_upstream.root).url
    mut.add_source(sample_upstream, upstream)
    mut.select("os=ubuntu", "arch=amd64")
    keyring = tmp_path / "mirror.gpg"
    keyring.write_bytes(mut.mirror.key.public_binary())
    server = cli.start("serve", "--host", "127.0.0.1", "--port", "0", "--workers", "1")
    line = server.stdout.readline()
    assert line.startswith("serving http://"), (line, server.stderr.read())
    url = line.split()[1].partition("/images/")[0]
    settings = Settings(
        data_dir=tmp_path / "downstream",
        sync=SyncSettings(attempts=2, stall_timeout=2),
        store=StoreSettings(min_free=0),
    )
    with Mirror.create(settings, name="Mirror of the mirror", algorithm="ed25519") as second:
        for channel in ("stable", "candidate"):
            source = BootSource(
                name=channel, url=f"{url}/images/{channel}/", keyring=str(keyring), priority=1
            )
            second.sources.add(source, by="test")
            second.selections.add(Selection(0, ("arch=amd64",), source=channel), by="test")
        yield Watched(url, keyring, cli, mut, MirrorUnderTest(second))
    server.send_signal(signal.SIGTERM)
    _, errors = server.communicate(timeout=30)
    assert server.returncode == 0, errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_select_sync_pin_roll_back_promote(watched, mut, sample_upstream):
    watched("sync")
    watched.check("stable", noble={FIRST, SECOND}, jammy={FIRST, SECOND})

    sample_upstream.add_version(only=f"{NOBLE}:amd64")
    sample_upstream.write()
    watched("sync")
    watched.check("stable", noble={SECOND, THIRD}, jammy={FIRST, SECOND})

    # the first version is in an older snapshot only
    watched("channel", "pin", "stable", "noble", FIRST)
    watched.check("stable", noble={FIRST}, jammy={FIRST, SECOND})

    # the publisher goes on; the pin holds, and only for what it is about
    sample_upstream.add_version(only=":amd64")
    sample_upstream.write()
    watched("sync")
    watched.check("stable", noble={FIRST}, jammy={SECOND, THIRD})

    watched("sync", "--channel", "candidate")
    watched.check("candidate", noble={THIRD, FOURTH}, jammy={SECOND, THIRD})

    # back to before that sync, and further back; held each time
    watched("channel", "rollback", "stable")
    watched.check("stable", noble={FIRST}, jammy={FIRST, SECOND})
    watched("channel", "rollback", "stable")
    watched.check("stable", noble={SECOND, THIRD}, jammy={FIRST, SECOND})
    watched("sync")
    watched.check("stable", noble={SECOND, THIRD}, jammy={FIRST, SECOND})

    # promoted, the pin counts; without it, all of candidate comes
    watched("channel", "unpin", "stable")
    watched("channel", "promote", "stable", "candidate")
    watched.check("stable", noble={FIRST}, jammy={SECOND, THIRD})
    watched("channel", "unpin", "stable")
    watched("channel", "promote", "stable", "candidate")
    watched.check("stable", noble={THIRD, FOURTH}, jammy={SECOND, THIRD})
    assert mut.published("stable") == mut.published("candidate")

    # a snapshot by its name, the oldest: a new time all the same
    watched("channel", "rollback", "stable", "--to", mut.mirror.store.snapshots.ids()[0])
    watched.check("stable", noble={FIRST, SECOND}, jammy={FIRST, SECOND})
    watched("channel", "unpin", "stable")
    watched("sync")
    watched.check("stable", noble={THIRD, FOURTH}, jammy={SECOND, THIRD})
    watched.check("candidate", noble={THIRD, FOURTH}, jammy={SECOND, THIRD})
    assert len(watched.times["stable"]) == 10
