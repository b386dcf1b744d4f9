"""A sample upstream: a directory that looks like images.maas.io/ephemeral-v3/stable, but small.

    sample = SampleUpstream.create(tmp_path / "upstream", key=signing_key)
    async with serve_directory(sample.root) as url:
        ...                                        # sync from it
        sample.add_version(only="noble")           # the publisher goes on
        sample.write()
        sample.edit_products(break_something)      # or misbehaves, correctly signed
        sample.write()
        sample.mend()                              # or comes to its senses
        sample.write()

The JSON is written here on its own account, not by the code under test. Nothing is checked: a test
may sign whatever it likes.
"""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from mirror.testing.sample_products import UBUNTU, SampleFile, SampleProduct, sample_products

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mirror.signing.key import SigningKey

SAMPLE_SIZE = 64 * 1024
STREAM = "streams/v1"
INDEX = "index"
Json = dict[str, Any]


class SampleUpstream:
    """A published stream below `root`, and the knowledge to go on publishing.

    `documents` are the products files by content id, still without hostile edits. `updated` is the
    time of the index and of every products file: a minute later after each honest change, so that
    what an edit alone changes is published under the same time as before.
    """

    def __init__(self, root: Path, *, key: SigningKey | None, size: int, updated: datetime) -> None:
        self.root = root
        self.key = key
        self.size = size
        self.updated = updated
        self.documents: dict[str, Json] = {}
        self._offered: dict[str, SampleProduct] = {}
        self._made: dict[str, int] = {}
        self._edits: list[tuple[str, Callable[[Json], object]]] = []

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        key: SigningKey | None = None,
        size: int = SAMPLE_SIZE,
        versions: int = 2,
        updated: datetime | None = None,
        products: Iterable[SampleProduct] | None = None,
    ) -> SampleUpstream:
        """Write a sample with `versions` of each product, and publish it.

        Without `key` only unsigned `.json` is written. `size` is that of a root file system in
        bytes; `updated` is one hour ago unless given (a source may be refused as too old).
        """
        hour_ago = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        time = updated or hour_ago
        sample = cls(root, key=key, size=size, updated=time)
        for product in sample_products() if products is None else products:
            sample.add_product(product)
        for _ in range(versions):
            sample.add_version()
        sample.set_updated(time)
        sample.write()
        return sample

    def copied(self, root: Path) -> SampleUpstream:
        """Return a sample of its own below `root`, as this one is now."""
        shutil.copytree(self.root, root)
        copied = copy.deepcopy(self, {id(self.key): self.key})
        copied.root = root
        return copied

    @property
    def keyring(self) -> Path:
        """The binary public key, where `write` puts it."""
        return self.root / "keyring.gpg"

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the signing key; empty when unsigned."""
        return self.key.fingerprint if self.key else ""

    def products(self, content_id: str = UBUNTU) -> Json:
        """Return the products of one file, by name, to read or change."""
        products: Json = self.documents[content_id]["products"]
        return products

    def files(self) -> dict[str, tuple[str, int]]:
        """Return (sha256, size) of every file that is listed now, by path."""
        return {
            item["path"]: (item["sha256"], item["size"])
            for document in self.documents.values()
            for product in document["products"].values()
            for version in product["versions"].values()
            for item in version["items"].values()
        }

    def add_product(self, product: SampleProduct) -> None:
        """Offer a product, without any version yet."""
        self._offered[product.name] = product
        document = self.documents.setdefault(product.content_id, _empty(product.content_id))
        document["products"][product.name] = {**product.attributes, "versions": {}}
        self._later()

    def remove_product(self, name: str) -> None:
        """Stop listing a product; its files stay, as they do for a while at the real one."""
        product = self._offered.pop(name)
        del self.documents[product.content_id]["products"][name]
        self._later()

    def add_version(self, *, only: str = "") -> dict[str, str]:
        """Add the next version of each product whose name contains `only`; return their names.

        The files are written at once; nothing is listed before `write`.
        """
        added = {}
        for name, product in self._offered.items():
            if only in name:
                number = self._made.get(name, 0)
                self._made[name] = number + 1
                added[name] = product.version(number)
                self._put_version(product, added[name])
        self._later()
        return added

    def remove_version(self, product: str, version: str) -> None:
        """Stop listing a version; its files stay."""
        content_id = self._offered[product].content_id
        del self.products(content_id)[product]["versions"][version]
        self._later()

    def set_updated(self, updated: datetime) -> None:
        """Give the stream another time: of long ago, or of the future."""
        self.updated = updated

    def edit_products(self, edit: Callable[[Json], object], *, content_id: str = UBUNTU) -> None:
        """Let `edit` change a products file in place, in any way at all, before it is signed.

        It is called with a copy at every `write` until `mend`. The index lists what is then left.
        """
        self._edits.append((content_id, edit))

    def edit_index(self, edit: Callable[[Json], object]) -> None:
        """Let `edit` change the index in place, both forms, at every `write` until `mend`."""
        self._edits.append((INDEX, edit))

    def mend(self) -> None:
        """Forget all edits."""
        self._edits.clear()

    def put(self, path: str, data: bytes) -> Json:
        """Write a file below `root`; return `path`, `sha256` and `size` as an item has them."""
        _replace(self.root / path, data)
        return {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}

    def write(self) -> None:
        """Publish: products files first, the index last, each replaced at once."""
        if self.key:
            _replace(self.keyring, self.key.public_binary())
        documents = {content_id: self._edited(content_id) for content_id in self.documents}
        for content_id, document in documents.items():
            self.publish(content_id, render(document))
        plain, signed = (self._index(documents, suffix) for suffix in ("json", "sjson"))
        self.publish(INDEX, render(plain), signed=render(signed))

    def publish(self, name: str, text: bytes, *, signed: bytes | None = None) -> None:
        """Write `text`, whatever it is, as the `.json`, `.json.gpg` and `.sjson` called `name`.

        `signed` is the text of the `.sjson` where it differs; both must end with a newline and have
        no space at the end of a line. Without a key there is only `.json`.
        """
        base = self.root / STREAM
        _replace(base / f"{name}.json", text)
        if self.key:
            _replace(base / f"{name}.json.gpg", self.key.detach(text))
            _replace(base / f"{name}.sjson", self.key.clearsign(text if signed is None else signed))
        else:
            for suffix in ("json.gpg", "sjson"):
                (base / f"{name}.{suffix}").unlink(missing_ok=True)

    def _edited(self, content_id: str) -> Json:
        document = copy.deepcopy(self.documents[content_id])
        document["updated"] = as_text(self.updated)
        return self._apply_edits(content_id, document)

    def _index(self, documents: dict[str, Json], suffix: str) -> Json:
        entries = {
            content_id: {
                "datatype": "image-ids",
                "format": "products:1.0",
                "path": f"{STREAM}/{content_id}.{suffix}",
                "products": _names(document),
                "updated": as_text(self.updated),
            }
            for content_id, document in documents.items()
        }
        index = {"format": "index:1.0", "index": entries, "updated": as_text(self.updated)}
        return self._apply_edits(INDEX, index)

    def _apply_edits(self, name: str, document: Json) -> Json:
        for edited, edit in self._edits:
            if edited == name:
                edit(document)
        return document

    def _later(self) -> None:
        self.updated += timedelta(minutes=1)

    def _put_version(self, product: SampleProduct, version: str) -> None:
        items = {file.name: self._item(file) for file in product.files(version, self.size)}
        versions = self.products(product.content_id)[product.name]["versions"]
        versions[version] = {"items": items}

    def _item(self, file: SampleFile) -> Json:
        return {
            "ftype": file.ftype or file.name,
            **self.put(file.path, file.data),
            **file.attributes,
        }


def as_text(time: datetime) -> str:
    """Return a time as the real stream writes it: `Thu, 24 Jul 2025 08:01:48 +0000`."""
    return format_datetime(time.astimezone(UTC))


def render(document: object) -> bytes:
    """Return JSON as the real stream has it: one space of indent, sorted keys, a last newline."""
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def _empty(content_id: str) -> Json:
    return {
        "content_id": content_id,
        "datatype": "image-ids",
        "format": "products:1.0",
        "products": {},
    }


def _names(document: Json) -> list[str]:
    products = document.get("products")
    return sorted(products) if isinstance(products, dict) else []


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(data)
    temporary.replace(path)
