"""SIGKILL at random instants of sync and publish: nothing wrong is ever served, nothing is lost.

A handful of kills in every run; `make soak` makes it 50 (MIRROR_KILLS).
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import threading
import time
import urllib.error
import urllib.request

import pytest

from mirror.store.reach import references
from mirror.store.verify import verify_store

KILLS = int(os.environ.get("MIRROR_KILLS", "6"))
SEED = int(os.environ.get("MIRROR_SEED", str(random.randrange(1 << 32))))


class Reader(threading.Thread):
    """A client that reads all the time: an index, the products that it names, files of those."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = f"{url}/images/stable"
        self.files = 0
        self.wrong: list[str] = []
        self._halt = threading.Event()
        self._random = random.Random(SEED)

    def run(self) -> None:
        while not self._halt.is_set():
            try:
                self._read_once()
            except urllib.error.HTTPError as error:
                if error.code != 404 or self.files:  # nothing is published yet, or ever since
                    self.wrong.append(f"{error.url}: {error.code}")
                self._halt.wait(0.05)

    def stop(self) -> None:
        self._halt.set()
        self.join(timeout=30)

    def _read_once(self) -> None:
        index = json.loads(self._get("streams/v1/index.json"))
        entry = self._random.choice(list(index["index"].values()))
        document = json.loads(self._get(entry["path"]))
        if sorted(document["products"]) != entry["products"]:
            self.wrong.append(f"{entry['path']} and its index are not of one snapshot")
        product = self._random.choice(list(document["products"].values()))
        version = self._random.choice(list(product["versions"].values()))
        for item in version["items"].values():
            data = self._get(item["path"])
            found = (hashlib.sha256(data).hexdigest(), len(data))
            if found != (item["sha256"], item["size"]):
                self.wrong.append(f"{item['path']}: {found}")
            self.files += 1

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}/{path}") as answer:
            return answer.read()


@pytest.fixture
def reader(cli):
    """Serve the data directory, in processes of their own, to a reader that never rests."""
    server = cli.start("serve", "--host", "127.0.0.1", "--port", "0", "--workers", "1")
    url = server.stdout.readline().split()[1].partition("/images/")[0]
    client = Reader(url)
    client.start()
    yield client
    client.stop()
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=30)


def test_killed_at_random_instants(cli, mut, sample_upstream, serve, reader):
    print(f"MIRROR_SEED={SEED} MIRROR_KILLS={KILLS}")
    instants = random.Random(SEED)
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", "arch=amd64", keep=3)
    whole = _duration_of_a_sync(cli, sample_upstream)
    for _ in range(KILLS):
        sample_upstream.add_version(only="24.04:amd64")
        sample_upstream.write()
        process = cli.start("sync")
        # the first third is Python that starts
        time.sleep(instants.uniform(0.3 * whole, 1.1 * whole))
        process.kill()
        process.communicate()
        _check_what_is_published(mut)
    ran = cli("sync")
    assert ran.status == 0, ran.err
    assert reader.files > 0
    assert reader.wrong == []
    _check_everything_is_there(mut, sample_upstream)
    _check_gc_leaves_no_orphan(cli, mut)


def _duration_of_a_sync(cli, sample) -> float:
    sample.add_version(only="24.04:amd64")
    sample.write()
    started = time.monotonic()
    assert cli("sync").status == 0
    return time.monotonic() - started


def _check_what_is_published(mut) -> None:
    """Every snapshot that there is, published or not, is whole."""
    report = verify_store(mut.mirror.store)
    assert report.damaged == ()
    assert mut.mirror.channels.pointers().keys() == {"stable"}


def _check_everything_is_there(mut, sample) -> None:
    document = sample.products()
    newest = {
        (name.removeprefix("com.ubuntu.maas.stable:"), version)
        for name, product in document.items()
        if ":amd64:" in name
        for version in sorted(product["versions"])[-3:]
    }
    assert newest <= mut.versions()


def _check_gc_leaves_no_orphan(cli, mut) -> None:
    assert cli("gc", "--grace", "0").status == 0
    store = mut.mirror.store
    reached = {
        ref.sha256
        for each in store.snapshots.ids()
        for _, ref in references(store.snapshots.load(each))
    }
    assert {file.name for file in store.blobs.files()} == reached
    assert list(store.incoming.root.iterdir()) == []
