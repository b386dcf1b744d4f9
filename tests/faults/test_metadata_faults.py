"""What a sync makes of metadata, good and bad: taken whole, or refused with a code."""

from __future__ import annotations

import json
import shutil
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mirror.errors import MirrorError
from mirror.model import BootSource
from mirror.signing.verify import Verifier
from mirror.simplestreams.limits import Limits
from mirror.sync.events import Event, Note, Retrying
from mirror.sync.http import open_session
from mirror.sync.metadata import fetch_stream
from mirror.sync.place import FetchedStream, Unchanged, Validators
from mirror.testing import bad_upstream as bad
from mirror.testing.bad_upstream import BadUpstream
from mirror.testing.sample import SampleUpstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from mirror.signing.key import SigningKey

NOW = datetime.now(UTC).replace(microsecond=0)
INDEX = "streams/v1/index.sjson"
UBUNTU = "streams/v1/com.ubuntu.maas:stable:v3:download.sjson"


class Reader:
    """Fetches the stream of an upstream as a sync does."""

    def __init__(self, upstream: BadUpstream, url: str, keyring: bytes) -> None:
        self.upstream = upstream
        self.url = url
        self.events: list[Event] = []
        self._keyring = keyring

    async def fetch(
        self,
        *,
        path: str = "/",
        trust: str = "signed",
        seen: dict[str, Any] | None = None,
        validators: Validators | None = None,
        now: datetime = NOW,
        limits: Limits = Limits(),  # noqa: B008
        accept_rollback: bool = False,
        stall: float = 5,
    ) -> FetchedStream | Unchanged:
        source = BootSource(name="source", url=self.url + path, trust=trust)
        with Verifier(self._keyring, name="source") as verifier:
            async with open_session(source, stall=stall) as http:
                return await fetch_stream(
                    source,
                    http,
                    verifier=verifier if trust == "signed" else None,
                    seen=seen or {},
                    validators=validators,
                    now=now,
                    limits=limits,
                    accept_rollback=accept_rollback,
                    emit=self.events.append,
                    wait=0.01,
                )

    async def stream(self, **options: Any) -> FetchedStream:
        stream = await self.fetch(**options)
        assert isinstance(stream, FetchedStream)
        return stream

    async def code(self, **options: Any) -> str:
        """The code of the error that the fetch ends with."""
        with pytest.raises(MirrorError) as raised:
            await self.fetch(**options)
        assert "source" in str(raised.value) or self.url in str(raised.value)
        return raised.value.code


@asynccontextmanager
async def reading(sample: SampleUpstream) -> AsyncIterator[Reader]:
    upstream = BadUpstream(sample.root)
    async with upstream.serve() as url:
        yield Reader(upstream, url, sample.keyring.read_bytes())


@pytest.fixture
async def reader(sample_upstream: SampleUpstream) -> AsyncIterator[Reader]:
    async with reading(sample_upstream) as made:
        yield made


@pytest.fixture(scope="module")
def unedited(tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey) -> SampleUpstream:
    """A sample that no test changes: signing is what takes long here."""
    return SampleUpstream.create(tmp_path_factory.mktemp("unedited"), key=signing_key)


@pytest.fixture
async def faulty(unedited: SampleUpstream) -> AsyncIterator[Reader]:
    """A reader of the unedited sample: for tests in which only the server misbehaves."""
    async with reading(unedited) as made:
        yield made


def copy_of(sample: SampleUpstream, tmp_path: Path) -> Path:
    return shutil.copytree(sample.root, tmp_path / "copy")


async def test_a_signed_stream_is_taken_whole(faulty: Reader, unedited: SampleUpstream) -> None:
    stream = await faulty.stream()
    names = {product.name for file in stream.products for product in file.products}
    assert names == {name for each in unedited.documents.values() for name in each["products"]}
    assert stream.base_url == faulty.url + "/"
    assert stream.fingerprint == unedited.fingerprint
    assert stream.index.updated == unedited.updated
    for path, data in stream.files.items():
        assert data == (unedited.root / path).read_bytes()
    assert set(stream.files) == {INDEX} | {entry.path for entry in stream.index.entries}
    assert len(faulty.upstream.requests) == 1 + len(stream.products)
    assert set(stream.seen) == {"index", *(file.content_id for file in stream.products)}


@pytest.mark.parametrize("path", ["", "/", "//", "/streams/v1/index.sjson"])
async def test_the_url_may_be_a_base_or_an_index(path: str, faulty: Reader) -> None:
    stream = await faulty.stream(path=path)
    assert stream.base_url == faulty.url + "/"
    assert stream.validators.url == f"{faulty.url}/{INDEX}"


async def test_no_change_costs_one_small_request(faulty: Reader) -> None:
    stream = await faulty.stream()
    faulty.upstream.requests.clear()
    assert await faulty.fetch(validators=stream.validators, seen=stream.seen) == Unchanged(
        faulty.url + "/"
    )
    assert faulty.upstream.paths() == [f"/{INDEX}"]
    headers = faulty.upstream.requests[0].headers
    assert headers["If-None-Match"] == stream.validators.etag
    assert sum(len(name) + len(value) + 4 for name, value in headers.items()) < 1000


async def test_a_change_is_taken_in_spite_of_validators(
    reader: Reader, sample_upstream: SampleUpstream
) -> None:
    first = await reader.stream()
    sample_upstream.add_version()
    sample_upstream.write()
    second = await reader.stream(validators=first.validators, seen=first.seen)
    assert second.index.updated > first.index.updated


async def test_validators_of_another_address_are_not_used(faulty: Reader) -> None:
    stream = await faulty.stream()
    other = Validators("http://elsewhere/streams/v1/index.sjson", stream.validators.etag)
    assert isinstance(await faulty.fetch(validators=other, seen=stream.seen), FetchedStream)


async def test_never_modified_is_a_freeze_too(faulty: Reader) -> None:
    stream = await faulty.stream()
    later = NOW + timedelta(days=30)
    options = {"validators": stream.validators, "seen": stream.seen}
    assert await faulty.code(now=later, **options) == "MIR-209"


async def test_where_there_is_no_sjson_the_detached_signature_is_used(
    reader: Reader, sample_upstream: SampleUpstream
) -> None:
    (sample_upstream.root / INDEX).unlink()
    stream = await reader.stream()
    assert stream.fingerprint == sample_upstream.fingerprint
    assert "streams/v1/index.json" in stream.files
    assert "streams/v1/index.json.gpg" in stream.files
    assert stream.validators.url.endswith("/index.json")
    reader.upstream.requests.clear()
    assert await reader.fetch(validators=stream.validators, seen=stream.seen) == Unchanged(
        reader.url + "/"
    )
    assert len(reader.upstream.requests) == 1


async def test_a_json_without_a_signature_beside_it_is_unsigned(
    reader: Reader, sample_upstream: SampleUpstream
) -> None:
    (sample_upstream.root / "streams/v1/index.json.gpg").unlink()
    assert await reader.code(path="/streams/v1/index.json") == "MIR-203"


async def test_a_pair_that_was_replaced_underway_is_taken_again(
    reader: Reader, sample_upstream: SampleUpstream, tmp_path: Path
) -> None:
    old = copy_of(sample_upstream, tmp_path)
    sample_upstream.add_version()
    sample_upstream.write()
    reader.upstream.on("streams/v1/index.json", bad.serve_from(old))
    stream = await reader.stream(path="/streams/v1/index.json")
    assert stream.index.updated == sample_upstream.updated


@pytest.mark.parametrize("path", ["/", "/streams/v1/index.json", "/streams/v1/index.sjson"])
async def test_an_unsigned_source_is_read_and_said_aloud(path: str, faulty: Reader) -> None:
    stream = await faulty.stream(trust="none", path=path)
    assert stream.fingerprint == ""
    assert sum(len(file.products) for file in stream.products) > 4
    assert [event.level for event in faulty.events if isinstance(event, Note)] == ["warning"]
    assert not [name for name in faulty.upstream.paths() if name.endswith(".gpg")]


async def test_a_publisher_in_the_middle_of_an_update_is_asked_again(
    reader: Reader, sample_upstream: SampleUpstream, tmp_path: Path
) -> None:
    old = copy_of(sample_upstream, tmp_path)
    sample_upstream.remove_product(next(iter(sample_upstream.products())))
    sample_upstream.write()
    reader.upstream.on(UBUNTU, bad.serve_from(old))
    stream = await reader.stream()
    assert stream.index.updated == sample_upstream.updated
    assert reader.upstream.paths().count(f"/{UBUNTU}") == 2
    assert reader.upstream.paths().count(f"/{INDEX}") == 2


async def test_files_that_never_fit_are_refused(
    reader: Reader, sample_upstream: SampleUpstream, tmp_path: Path
) -> None:
    old = copy_of(sample_upstream, tmp_path)
    sample_upstream.remove_product(next(iter(sample_upstream.products())))
    sample_upstream.write()
    reader.upstream.on(UBUNTU, bad.serve_from(old), times=None)
    assert await reader.code() == "MIR-211"
    assert reader.upstream.paths().count(f"/{INDEX}") == 3


async def test_a_rollback_is_refused_unless_accepted(
    reader: Reader, sample_upstream: SampleUpstream, tmp_path: Path
) -> None:
    old = copy_of(sample_upstream, tmp_path)
    sample_upstream.add_version()
    sample_upstream.write()
    stream = await reader.stream()
    reader.upstream.on("streams/*", bad.serve_from(old), times=None)
    assert await reader.code(seen=stream.seen) == "MIR-207"
    accepted = await reader.stream(seen=stream.seen, accept_rollback=True)
    assert accepted.index.updated < stream.index.updated


async def test_other_content_under_the_same_time_is_refused(
    reader: Reader, sample_upstream: SampleUpstream
) -> None:
    stream = await reader.stream()
    sample_upstream.edit_products(lambda products: products.update({"extra": 1}))
    sample_upstream.write()
    assert await reader.code(seen=stream.seen) == "MIR-208"


async def test_an_old_stream_is_stale(faulty: Reader) -> None:
    assert await faulty.code(now=NOW + timedelta(days=8)) == "MIR-209"


async def test_a_stream_from_the_future_is_refused(faulty: Reader) -> None:
    assert await faulty.code(now=NOW - timedelta(days=2)) == "MIR-210"


async def test_another_key_is_not_trusted(faulty: Reader, other_signing_key: SigningKey) -> None:
    stranger = Reader(faulty.upstream, faulty.url, other_signing_key.public_binary())
    assert await stranger.code() == "MIR-205"


PASSING = {
    "500": bad.status(500),
    "503": bad.status(503, retry_after="0"),
    "cut": bad.cut(after=100),
    "no answer": bad.cut(),
    "chunked": bad.chunked(),
    "gzip": bad.gzipped(),
    "silence": bad.stall(after=10),
}


@pytest.mark.parametrize("path", [INDEX, UBUNTU])
@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
async def test_what_happens_once_is_recovered_from(
    fault: bad.Fault, path: str, faulty: Reader
) -> None:
    faulty.upstream.on(path, fault)
    assert len((await faulty.stream(stall=0.2)).products) == 3


LASTING = {
    "500": (bad.status(500), "MIR-402"),
    "403": (bad.status(403), "MIR-402"),
    "cut": (bad.cut(after=100), "MIR-404"),
    "too short": (bad.claim_length(-20), "MIR-204"),
    "byte wrong": (bad.flip_byte(200), "MIR-204"),
    "web page": (bad.web_page(), "MIR-301"),
    "endless": (bad.endless(), "MIR-303"),
    "redirect in circles": (bad.redirect(), "MIR-405"),
}


@pytest.mark.parametrize("path", [INDEX, UBUNTU])
@pytest.mark.parametrize(("fault", "code"), LASTING.values(), ids=LASTING)
async def test_what_lasts_is_said(fault: bad.Fault, code: str, path: str, faulty: Reader) -> None:
    faulty.upstream.on(path, fault, times=None)
    assert await faulty.code() == code


@pytest.mark.parametrize("pattern", ["streams/v1/index*", UBUNTU])
async def test_a_file_that_is_not_there(pattern: str, faulty: Reader) -> None:
    faulty.upstream.on(pattern, bad.status(404), times=None)
    assert await faulty.code() == "MIR-402"


async def test_an_unsigned_text_in_a_signed_place_is_refused(
    reader: Reader, sample_upstream: SampleUpstream
) -> None:
    plain = sample_upstream.root / "streams/v1/index.json"
    shutil.copy(plain, sample_upstream.root / INDEX)
    assert await reader.code() == "MIR-203"


async def test_gigantic_metadata_is_refused_before_it_is_read(faulty: Reader) -> None:
    assert await faulty.code(limits=Limits(index_bytes=500)) == "MIR-303"
    assert await faulty.code(limits=Limits(products_bytes=500)) == "MIR-303"


async def test_a_small_answer_that_unpacks_to_a_gigantic_one_is_refused(
    tmp_path: Path, faulty: Reader
) -> None:
    bomb = tmp_path / INDEX
    bomb.parent.mkdir(parents=True)
    bomb.write_bytes(b"x" * 5_000_000)
    faulty.upstream.root = tmp_path
    faulty.upstream.on(INDEX, bad.gzipped(), times=None)
    assert await faulty.code() == "MIR-303"


async def test_a_source_that_does_not_exist(unused_tcp_port: int, faulty: Reader) -> None:
    nowhere = Reader(faulty.upstream, f"http://127.0.0.1:{unused_tcp_port}", b"")
    assert await nowhere.code() == "MIR-401"
    assert [event.attempt for event in nowhere.events if isinstance(event, Retrying)] == [1, 2, 3]


async def test_errors_never_show_credentials(unused_tcp_port: int, faulty: Reader) -> None:
    url = f"http://me:secret@127.0.0.1:{unused_tcp_port}"
    with pytest.raises(MirrorError) as raised:
        await Reader(faulty.upstream, url, b"").fetch()
    assert "secret" not in json.dumps(raised.value.as_dict())
