"""Streams, and parts of them, for the tests beside this file."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mirror.model import Item, Product, Version
from mirror.simplestreams.limits import Limits
from mirror.simplestreams.read import ProductsFile, parse_products

REAL = Path(__file__).parents[2] / "data" / "simplestreams"
LIMITS = Limits()
UPDATED = "Thu, 24 Jul 2025 08:01:48 +0000"
NOW = datetime(2025, 7, 24, 12, 0, 0, tzinfo=UTC)
CONTENT_ID = "com.example:stable:v3:download"
NAME = "com.example.stable:v3:boot:24.04:amd64:ga-24.04"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def raw_item(path: str, ftype: str = "squashfs", **changes: Any) -> dict[str, Any]:
    return {"ftype": ftype, "path": path, "sha256": digest(path), "size": 5, **changes}


def raw_items(version: str = "20250615") -> dict[str, Any]:
    base = f"noble/amd64/{version}"
    return {
        "boot-initrd": raw_item(f"{base}/ga-24.04/generic/boot-initrd", "boot-initrd"),
        "boot-kernel": raw_item(f"{base}/ga-24.04/generic/boot-kernel", "boot-kernel"),
        "manifest": raw_item(f"{base}/squashfs.manifest", "manifest"),
        "squashfs": raw_item(f"{base}/squashfs", "squashfs"),
    }


def raw_product(*versions: str, **changes: Any) -> dict[str, Any]:
    return {
        "arch": "amd64",
        "kflavor": "generic",
        "krel": "noble",
        "label": "stable",
        "os": "ubuntu",
        "release": "noble",
        "release_codename": "Noble Numbat",
        "release_title": "24.04 LTS",
        "subarch": "ga-24.04",
        "subarches": "generic,ga-24.04",
        "support_eol": "2029-05-31",
        "version": "24.04",
        "versions": {name: {"items": raw_items(name)} for name in versions or ("20250615",)},
        **changes,
    }


def raw_file(products: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "content_id": CONTENT_ID,
        "datatype": "image-ids",
        "format": "products:1.0",
        "products": {NAME: raw_product()} if products is None else products,
        "updated": UPDATED,
        **changes,
    }


def raw_index(**changes: Any) -> dict[str, Any]:
    entry = {
        "datatype": "image-ids",
        "format": "products:1.0",
        "path": f"streams/v1/{CONTENT_ID}.json",
        "products": [NAME],
        "updated": UPDATED,
    }
    return {"format": "index:1.0", "index": {CONTENT_ID: entry}, "updated": UPDATED, **changes}


def encode(value: object) -> bytes:
    return json.dumps(value).encode()


def read(raw: dict[str, Any], limits: Limits = LIMITS) -> ProductsFile:
    return parse_products(encode(raw), limits)


def read_real(name: str) -> ProductsFile:
    return parse_products((REAL / f"{name}.json").read_bytes(), LIMITS)


def real_products() -> list[Product]:
    return [
        product
        for name in ("ubuntu", "bootloaders", "centos")
        for product in read_real(name).products
    ]


def item(path: str, content: str = "", size: int = 5, name: str = "", **attributes: Any) -> Item:
    name = name or path.rpartition("/")[2]
    return Item(name, name, path, digest(content or path), size, attributes)


def product(name: str, *versions: Version, content_id: str = CONTENT_ID, **changes: Any) -> Product:
    attributes = {key: value for key, value in raw_product().items() if key != "versions"}
    return Product(name, content_id, {**attributes, **changes}, versions)
