"""A stream of 20,000 products and 80,000 items: read it with nothing to do, and publish it.

    python -m benchmarks.large plan|publish DATA_DIR STREAM KEYRING

`plan` and `publish` run in a process of their own, so that its peak memory is theirs alone; they
print JSON.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.peers import Site, nginx
from benchmarks.processes import peak_memory, run
from benchmarks.report import Row, at_most
from benchmarks.sync import mirror_command
from mirror.catalog.validations import Validation
from mirror.model import BootSource, Item, Product, Selection, Version, utcnow
from mirror.service import Mirror
from mirror.settings import load_settings
from mirror.signing.key import ED25519, SigningKey
from mirror.signing.verify import Verifier
from mirror.simplestreams.limits import Limits
from mirror.simplestreams.verify import TrustedStream
from mirror.sync.build import build_snapshot
from mirror.sync.plan import Offer, make_plan
from mirror.sync.published import published_products
from mirror.sync.take import find_needs
from mirror.sync.validate import judges, subjects
from mirror.testing.sample import SampleUpstream
from mirror.testing.sample_products import UBUNTU

if TYPE_CHECKING:
    from benchmarks.context import Context
    from mirror.sync.plan import Planned

_PRODUCTS = 20_000
_SOURCE = "bench"
_ITEMS = ("boot-initrd", "boot-kernel", "manifest", "squashfs")


def large_stream(context: Context) -> list[Row]:
    """Read a stream of 20,000 products with nothing to do, and publish it."""
    total = max(100, int(_PRODUCTS * context.scale))
    folder = context.folder("large")
    stream = folder / "stream"
    data_dir = folder / "data"
    with SigningKey.create(folder / "key", "The large upstream", algorithm=ED25519) as key:
        upstream = write_stream(stream, key, total)
        keyring = upstream.keyring
        rows = [*_published(context, data_dir, stream, keyring)]
        rows += _planned(context, data_dir, stream, keyring)
        upstream.set_updated(upstream.updated + timedelta(minutes=1))
        upstream.write()
        rows += _synced(context, data_dir, stream)
    context.drop(folder)
    return rows


def products(total: int, *, squashfs: Item | None = None) -> list[Product]:
    """Return so many products of one version and four items; the first may have a given item."""
    made = [_product(number) for number in range(total)]
    if squashfs:
        first = made[0]
        version = first.versions[0]
        items = tuple(squashfs if item.name == "squashfs" else item for item in version.items)
        version = Version(version.name, items)
        made[0] = Product(first.name, first.content_id, first.attributes, (version,))
    return made


def _product(number: int) -> Product:
    subarch = f"ga-{number:05}"
    return Product(
        name=f"com.ubuntu.maas.stable:v3:boot:24.04:amd64:{subarch}",
        content_id=UBUNTU,
        attributes={
            "arch": "amd64",
            "kflavor": "generic",
            "krel": "noble",
            "label": "stable",
            "os": "ubuntu",
            "release": "noble",
            "release_codename": "Noble Numbat",
            "release_title": "24.04 LTS",
            "subarch": subarch,
            "subarches": f"generic,{subarch}",
            "support_eol": "2029-05-31",
            "support_esm_eol": "2034-04-25",
            "version": "24.04",
        },
        versions=(Version("20250615", tuple(_items(number, subarch))),),
    )


def _items(number: int, subarch: str) -> list[Item]:
    """Name four files; the digests are those of no real file, and as many as the files."""
    items = []
    for place, name in enumerate(_ITEMS):
        path = f"noble/amd64/20250615/{subarch}/generic/{name}"
        sha256 = hashlib.sha256(path.encode()).hexdigest()
        attributes = {"kpackage": "linux-generic"} if name.startswith("boot-") else {}
        items.append(Item(name, name, path, sha256, 1000 * number + place + 1, attributes))
    return items


def write_stream(stream: Path, key: SigningKey, total: int) -> SampleUpstream:
    """Write a signed stream of so many products; there are no files behind it."""
    time_of = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    upstream = SampleUpstream(stream, key=key, size=0, updated=time_of)
    upstream.documents = {
        UBUNTU: {
            "content_id": UBUNTU,
            "datatype": "image-ids",
            "format": "products:1.0",
            "products": {each.name: _as_json(each) for each in products(total)},
        }
    }
    upstream.write()
    return upstream


def _as_json(product: Product) -> dict[str, Any]:
    return {
        **product.attributes,
        "versions": {
            version.name: {
                "items": {
                    item.name: {
                        "ftype": item.ftype,
                        "path": item.path,
                        "sha256": item.sha256,
                        "size": item.size,
                        **item.attributes,
                    }
                    for item in version.items
                }
            }
            for version in product.versions
        },
    }


# --- rows -----------------------------------------------------------------------------------------


def _child(context: Context, task: str, *arguments: os.PathLike[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.large", task, *map(str, arguments)]
    found: dict[str, Any] = json.loads(run(command, log=context.cache / "run" / "large.log").output)
    print(f"    {task}: {found}")
    return found


def _published(context: Context, data_dir: Path, stream: Path, keyring: Path) -> list[Row]:
    found = _child(context, "publish", data_dir, stream, keyring)
    return [
        Row("20,000 products: publish", found["seconds"], None, "s", bar=at_most(5)),
        Row("20,000 products: publish, peak memory", found["peak"], None, "MB"),
    ]


def _planned(context: Context, data_dir: Path, stream: Path, keyring: Path) -> list[Row]:
    found = [
        _child(context, "plan", data_dir, stream, keyring) for _ in range(max(1, context.rounds))
    ]
    seconds = median(each["seconds"] for each in found)
    peak = max(each["peak"] for each in found)
    return [
        Row("20,000 products: parse, verify, plan", seconds, None, "s", bar=at_most(1)),
        Row("20,000 products: the same, peak memory", peak, None, "MB", bar=at_most(250)),
    ]


def _synced(context: Context, data_dir: Path, stream: Path) -> list[Row]:
    """Run the whole command on the stream signed anew, with the same products."""
    with nginx(context.folder("nginx"), [Site(stream)]) as (_, ports):
        settings = load_settings(data_dir=data_dir)
        with Mirror.open(settings) as mirror:
            url = f"http://127.0.0.1:{ports[0]}"
            keyring = str(stream / "keyring.gpg")
            source = BootSource(name=_SOURCE, url=url, keyring=keyring)
            mirror.sources.add(source, by="benchmark")
            mirror.selections.add(Selection(0, ("os=ubuntu",)), by="benchmark")

        cost = run([*mirror_command(data_dir), "sync"], log=data_dir.with_suffix(".log"))
    return [
        Row("20,000 products, signed anew: whole sync", cost.seconds, None, "s"),
        Row("20,000 products, signed anew: peak memory", cost.peak / 1e6, None, "MB"),
    ]


# --- in a process of its own ----------------------------------------------------------------------


class _Clock:
    """Seconds by step, since the last step."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self._at = time.perf_counter()

    def step(self, name: str) -> None:
        """End a step."""
        now = time.perf_counter()
        self.steps[name] = round(now - self._at, 3)
        self._at = now

    def found(self, *steps: str) -> dict[str, Any]:
        """Return what to print: `seconds` of the named steps, all steps, peak memory in MB."""
        return {
            "seconds": round(sum(self.steps[name] for name in steps), 3),
            "steps": self.steps,
            "peak": round(peak_memory_here() / 1e6, 1),
        }


def peak_memory_here() -> int:
    """Return the peak memory of this process, in bytes."""
    return peak_memory(os.getpid())


def _read(stream: Path, keyring: Path) -> Offer:
    """Verify and parse the stream, as a sync does once it has the files."""
    with Verifier(keyring.read_bytes(), name=_SOURCE) as verifier:
        trusted = TrustedStream(
            _SOURCE, now=datetime.now(UTC), seen={}, limits=Limits(), max_staleness=timedelta(7)
        )
        folder = stream / "streams" / "v1"
        index = trusted.update_index(
            verifier.clearsigned((folder / "index.sjson").read_bytes()).plaintext
        )
        files = [
            trusted.update_products(
                entry, verifier.clearsigned((stream / entry.path).read_bytes()).plaintext
            )
            for entry in index.entries
        ]
    found = tuple(product for file in files for product in file.products)
    return Offer(BootSource(_SOURCE, "http://127.0.0.1/"), "http://127.0.0.1/", found)


def _plan(data_dir: Path, stream: Path, keyring: Path) -> dict[str, Any]:
    with Mirror.open(load_settings(data_dir=data_dir)) as mirror:
        clock = _Clock()
        offer = _read(stream, keyring)
        clock.step("verify and parse")
        snapshot = mirror.store.snapshots.load(mirror.store.channels.current("stable") or "")
        published = published_products(snapshot, mirror.store.blobs, offered=offer.products)
        clock.step("what is published")
        selections = [Selection(1, ("os=ubuntu",))]
        plan = make_plan([offer], selections, mirror.plugins, published)
        here = frozenset(ref.sha256 for ref in snapshot.files.values())
        needs = find_needs(plan.products, [offer], here, mirror.store.blobs)
        clock.step("plan")
        if needs.missing or plan.left_out or len(plan.products) != len(offer.products):
            raise SystemExit("the plan is not that there is nothing to do")
    return clock.found("verify and parse", "what is published", "plan")


async def _publish(data_dir: Path, stream: Path, keyring: Path) -> dict[str, Any]:
    with Mirror.create(load_settings(data_dir=data_dir), name="benchmark") as mirror:
        store = mirror.store
        offer = _read(stream, keyring)
        plan = make_plan([offer], [Selection(1, ("os=ubuntu",))], mirror.plugins, {})
        _record_as_looked_at(mirror, plan.products)
        clock = _Clock()
        snapshot = await build_snapshot(
            plan.products,
            blobs=store.blobs,
            key=mirror.key,
            parent="",
            not_before=utcnow(),
            sources={},
            notes={},
        )
        clock.step("build")
        saved = store.snapshots.save(snapshot)
        clock.step("save")
        store.channels.switch("stable", saved, "benchmark")
        clock.step("switch")
    return clock.found("build", "save", "switch")


def _record_as_looked_at(mirror: Mirror, planned: tuple[Planned, ...]) -> None:
    """Spare plugins the look at files that are not here: nothing is fetched for this stream."""
    looked_at = subjects(planned, judges(mirror.plugins))
    mirror.catalog.validations.record(Validation(*each.key, each.judge) for each in looked_at)


def main() -> None:
    """Do the task that the command line names, and print what it took."""
    task, *rest = sys.argv[1:]
    data_dir, stream, keyring = map(Path, rest)
    if task == "publish":
        found = asyncio.run(_publish(data_dir, stream, keyring))
    else:
        found = _plan(data_dir, stream, keyring)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
