"""A stream of 20,000 products and 80,000 items, about 22 MB, costs well under a second."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from stream_builders import UPDATED, digest, encode, raw_index, raw_product

PRODUCTS = 20_000
CONTENT_ID = "com.example:stable:v3:download"

MEASURED = """
import json, re, sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mirror.simplestreams.limits import Limits
from mirror.simplestreams.lint import lint_stream
from mirror.simplestreams.verify import TrustedStream
from mirror.simplestreams.write import write_stream

index, products = (Path(path).read_bytes() for path in sys.argv[1:])
now = datetime(2025, 7, 25, tzinfo=UTC)
started = time.process_time()
trusted = TrustedStream(
    "large", now=now, seen={}, limits=Limits(), max_staleness=timedelta(days=7)
)
(entry,) = trusted.update_index(index).entries
found = trusted.update_products(entry, products)
read = time.process_time() - started
# Not ru_maxrss: that counts what the parent had when it forked.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
started = time.process_time()
documents = write_stream(found.products, now)
findings = lint_stream({f"{document.path}.json": document.json for document in documents})
written = time.process_time() - started
items = sum(len(version.items) for p in found.products for version in p.versions)
print(json.dumps({
    "items": items, "rejected": len(found.rejected), "findings": len(findings),
    "read_s": read, "read_peak_mb": peak, "write_s": written,
}))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    products = {f"com.example:v3:boot:{n}:amd64:ga-{n}": _product(n) for n in range(PRODUCTS)}
    file = {
        "content_id": CONTENT_ID,
        "datatype": "image-ids",
        "format": "products:1.0",
        "products": products,
        "updated": UPDATED,
    }
    index = raw_index()
    index["index"][CONTENT_ID]["products"] = sorted(products)
    (folder / "index.json").write_bytes(encode(index))
    (folder / "products.json").write_text(json.dumps(file, indent=0))
    return folder


def _product(number):
    base = f"noble/amd64/2025{number:05d}"
    names = ("ga/generic/boot-initrd", "ga/generic/boot-kernel", "squashfs.manifest", "squashfs")
    items = {}
    for name in names:
        ftype = name.rpartition("/")[2].removeprefix("squashfs.")
        path = f"{base}/{name}"
        items[ftype] = {"ftype": ftype, "path": path, "sha256": digest(path), "size": number}
    return raw_product(subarch=f"ga-{number}", versions={"20250615": {"items": items}})


def test_twenty_thousand_products_do_not_hurt(large):
    assert 20_000_000 < (large / "products.json").stat().st_size < 26_000_000
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, large / "index.json", large / "products.json"],
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(done.stdout)
    assert (measured["items"], measured["rejected"], measured["findings"]) == (80_000, 0, 0)
    # Three times what it takes on two idle cores: this guards the order of magnitude, the
    # benchmarks hold the figures.
    assert measured["read_s"] < 1.5
    assert measured["write_s"] < 5
    assert measured["read_peak_mb"] < 250
