from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from mirror.errors import HttpStatus, TlsInvalid
from mirror.model import Role
from mirror.server.meter import CODES, METHODS, ROUTES, Board
from mirror.server.options import ServerOptions
from mirror.server.serving import running_server
from mirror.signing.certificate import expiry

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "packaging/prometheus/alerts.yml"
INDEX = "/images/stable/streams/v1/index.sjson"


class Scrape:
    """The samples of one answer of /metrics."""

    def __init__(self, text):
        self.families = {family.name: family for family in parse(text)}
        self.samples = [s for family in self.families.values() for s in family.samples]
        self.names = {s.name for s in self.samples}

    def __call__(self, name, **labels):
        """Return the one sample with this name and these labels; 0 if there is none."""
        found = [
            s.value for s in self.samples if s.name == name and labels.items() <= s.labels.items()
        ]
        assert len(found) < 2, found
        return found[0] if found else 0


async def _get(url, **more):
    async with aiohttp.ClientSession() as session, session.get(url, **more) as response:
        return response.status, response.headers, await response.read()


async def scrape(url, **more):
    status, _, body = await _get(url + "/metrics", **more)
    assert status == 200, body
    return Scrape(body.decode())


@pytest.fixture
async def synced(mut, sample_upstream, serve):
    """A mirror that has published the sample."""
    sample_upstream.add_version()
    sample_upstream.write()
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("arch=amd64")
    await mut.sync()
    return mut


@asynccontextmanager
async def serving(mut, **changes):
    options = ServerOptions(
        data_dir=str(mut.root), port=0, metrics="open", drain=timedelta(seconds=2), min_free=0
    )
    async with running_server(msgspec.structs.replace(options, **changes)) as url:
        yield url


async def test_requests_are_counted_by_what_was_asked_for(synced):
    path, (_, size) = next(iter(synced.published().items()))
    async with serving(synced) as url:
        _, _, index = await _get(url + INDEX, headers={"Accept-Encoding": "identity"})
        await _get(url + f"/images/stable/{path}")
        async with aiohttp.ClientSession() as session:
            await session.head(url + f"/images/stable/{path}")
            await session.get(url + "/images/stable/none")
            await session.request("OPTIONS", url + "/pot")
        await _get(url + f"/images/stable/{path}", headers={"Range": "bytes=0-9"})
        seen = await scrape(url)
    count = "mirror_http_requests_total"
    assert seen(count, route="stream", method="GET", code="200") == 1
    assert seen(count, route="image", method="GET", code="200") == 1
    assert seen(count, route="image", method="HEAD", code="200") == 1
    assert seen(count, route="image", method="GET", code="404") == 1
    assert seen(count, route="image", method="GET", code="206") == 1
    assert seen(count, route="other", method="other", code="404") == 1
    sent = "mirror_http_response_bytes_total"
    assert seen(sent, route="stream") == len(index)
    assert seen(sent, route="image") == size + 10 + len(b"404: not found\n")
    assert seen("mirror_http_requests_active", route="image") == 0
    assert seen("mirror_http_requests_active", route="health") == 1
    took = "mirror_http_request_duration_seconds"
    assert seen(f"{took}_count", route="stream") == 1
    assert seen(f"{took}_bucket", le="+Inf") == 1
    assert 0 < seen(f"{took}_sum") < 10


async def test_labels_never_hold_what_a_client_chose(synced):
    async with serving(synced) as url:
        for odd in (
            "/images/evil/x",
            "/evil",
            "/t/evil-token/images/stable/x",
            "/snapshots/evil/x",
        ):
            await _get(url + odd)
        seen = await scrape(url)
    assert not [s for s in seen.samples if "evil" in str(s.labels)]
    counted = [s for s in seen.samples if s.name == "mirror_http_requests_total"]
    assert {s.labels["route"] for s in counted} == set(ROUTES)
    assert {s.labels["method"] for s in counted} <= set(METHODS)
    assert {s.labels["code"] for s in counted} <= set(map(str, CODES))


async def test_bytes_are_counted_while_they_go_out_and_also_of_what_is_cut(mut, tmp_path):
    store = mut.mirror.store
    big = store.blobs.add_bytes(os.urandom(2**20) * 40)
    async with serving(mut) as url:
        async with (
            aiohttp.ClientSession() as session,
            session.get(url + f"/blobs/sha256/{big.sha256}") as response,
        ):
            await response.content.readexactly(2**16)
            seen = await scrape(url)
            assert seen("mirror_http_requests_active", route="blob") == 1
            assert 2**16 <= seen("mirror_http_response_bytes_total", route="blob") < big.size
            response.close()
        for _ in range(100):
            seen = await scrape(url)
            if not seen("mirror_http_requests_active", route="blob"):
                break
            await asyncio.sleep(0.05)
        assert seen("mirror_http_requests_active", route="blob") == 0
        assert 2**16 <= seen("mirror_http_response_bytes_total", route="blob") < big.size


async def test_how_the_mirror_is(synced):
    await synced.sync()
    synced.mirror.storage.gc(grace=timedelta(0))
    async with serving(synced) as url:
        seen = await scrape(url)
    now = datetime.now(UTC).timestamp()
    assert seen("mirror_build_info") == 1
    assert seen("mirror_sync_runs_total", outcome="succeeded") == 2
    assert seen("mirror_sync_runs_total", outcome="failed") == 0
    assert seen("mirror_sync_duration_seconds_count") == 2
    assert seen("mirror_source_up", source="main") == 1
    assert now - 60 < seen("mirror_source_last_success_timestamp_seconds", source="main") <= now
    assert seen("mirror_source_metadata_age_seconds", source="main") > -86400
    assert seen("mirror_source_max_staleness_seconds", source="main") == 7 * 86400
    assert now - 60 < seen("mirror_publication_timestamp_seconds", channel="stable") <= now
    blobs = list(synced.mirror.store.blobs.hashes())
    assert seen("mirror_store_blobs") == len(blobs)
    assert seen("mirror_store_bytes") == sum(map(synced.mirror.store.blobs.size, blobs))
    assert seen("mirror_store_free_bytes") > 0
    assert seen("mirror_store_min_free_bytes") == 256 * 2**20
    assert seen("mirror_snapshots") == 1
    assert seen("mirror_jobs", state="succeeded") == 2
    assert seen("mirror_jobs", state="queued") == 0
    assert seen("mirror_plugin_up", plugin="ubuntu") == 1
    assert {part: seen("mirror_part_up", part=part) for part in ("catalogue", "store")} == {
        "catalogue": 1,
        "store": 1,
    }


async def test_a_source_that_fails_and_a_damaged_blob_show(synced, sample_upstream):
    (sample_upstream.root / "streams").rename(sample_upstream.root / "away")
    with pytest.raises(HttpStatus, match="404"):
        await synced.sync()
    _, (sha256, _) = next(iter(synced.published().items()))
    blob = synced.mirror.store.blobs.path(sha256)
    blob.chmod(0o644)
    blob.write_bytes(b"other")
    await synced.mirror.storage.verify(repair=False, emit=lambda _: None)
    async with serving(synced) as url:
        seen = await scrape(url)
    assert seen("mirror_source_up", source="main") == 0
    assert seen("mirror_sync_runs_total", outcome="failed") == 1
    assert seen("mirror_scrub_corrupt_total") == 1


async def test_a_catalogue_that_can_not_be_read_leaves_the_rest(synced):
    synced.mirror.close()
    for file in synced.root.glob("catalog.sqlite*"):
        file.write_bytes(b"this is no database" * 100)
    async with serving(synced) as url:
        await _get(url + INDEX)
        seen = await scrape(url)
    assert seen("mirror_part_up", part="catalogue") == 0
    assert seen("mirror_http_requests_total", route="stream", code="200", method="GET") == 1


async def test_other_formats_are_given_to_who_asks_for_them(synced):
    async with serving(synced) as url:
        accept = "application/openmetrics-text; version=1.0.0"
        _, headers, body = await _get(url + "/metrics", headers={"Accept": accept})
        assert headers["Content-Type"].startswith("application/openmetrics-text")
        assert headers["Cache-Control"] == "no-store"
        names = {family.name for family in openmetrics(body.decode())}
        _, headers, _ = await _get(url + "/metrics")
        assert headers["Content-Type"].startswith("text/plain")
    assert "mirror_http_requests" in names


async def test_beside_the_images_a_token_is_needed_whatever_its_role(synced):
    made = synced.mirror.tokens.create("prometheus", Role.READER, by="test")
    async with serving(synced, metrics="token") as url:
        status, headers, body = await _get(url + "/metrics")
        assert (status, b"MIR-" in body) == (401, True)
        assert "WWW-Authenticate" in headers
        status, _, _ = await _get(url + "/metrics", headers={"Authorization": "Bearer wrong"})
        assert status == 401
        seen = await scrape(url, headers={"Authorization": f"Bearer {made.secret}"})
    assert seen("mirror_build_info") == 1


async def test_at_the_admin_address_they_are_open_and_gone_from_the_other(synced, free_port):
    async with serving(synced, metrics="token", admin_port=free_port) as url:
        assert (await _get(url + "/metrics"))[0] == 404
        await _get(url + INDEX)
        seen = await scrape(f"http://127.0.0.1:{free_port}")
    assert seen("mirror_http_requests_total", route="stream", code="200", method="GET") == 1


# --- several processes ---------------------------------------------------------------------------


async def test_a_scrape_sums_up_all_workers_also_those_that_died(synced, cli):
    environment = {**cli.environment, "MIRROR_SERVER__METRICS": "open"}
    process = await asyncio.create_subprocess_exec(
        *cli.command("serve", "--host", "127.0.0.1", "--port", "0", "--workers", "2", "--no-jobs"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        line = (await process.stdout.readline()).decode()
        url = re.search(r"http://[^/]+", line)[0]
        for _ in range(40):  # each on a connection of its own: the kernel spreads them
            await _get(url + INDEX)
        count = "mirror_http_requests_total"
        for _ in range(5):
            assert (await scrape(url))(count, route="stream", code="200", method="GET") == 40
        for worker in await _workers(process.pid):
            os.kill(worker, signal.SIGKILL)
        await _until_restarted(url, 2)
        for _ in range(10):
            await _get(url + INDEX)
        seen = await scrape(url)
        assert seen(count, route="stream", code="200", method="GET") == 50
        assert seen("mirror_worker_restarts_total") == 2
        active = sum(s.value for s in seen.samples if s.name == "mirror_http_requests_active")
        assert active == 1
    finally:
        process.send_signal(signal.SIGTERM)
        await process.communicate()


async def _until_restarted(url, times):
    async with asyncio.timeout(30):
        while True:
            try:
                if (await scrape(url))("mirror_worker_restarts_total") == times:
                    return
            except (aiohttp.ClientError, AssertionError):
                pass
            await asyncio.sleep(0.1)


async def _workers(pid):
    listing = await asyncio.create_subprocess_exec(
        *("pgrep", "-P", str(pid)), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await listing.communicate()
    return [int(line) for line in out.split()]


def test_a_replaced_worker_goes_on_counting_and_nothing_grows():
    board = Board.create(2)
    for life in range(1, 4):
        meter = board.meter(1)
        meter.start()
        route = meter.of(INDEX)
        route.end("GET", 200, route.begin())
        route.begin()  # it dies while it answers
        [counted] = [each for each in board.requests() if each.requests]
        assert (counted.route, counted.requests) == ("stream", life)
        assert board.active()["stream"] == 1
    assert os.fstat(board.descriptor).st_size < 2**16


# --- what the rules and the documentation rely on ------------------------------------------------


async def test_every_metric_of_the_alert_rules_is_exported(synced, certificate):
    names = set(re.findall(r"\bmirror_[a-z0-9_]+\b", _expressions(ALERTS.read_text())))
    assert len(names) > 8
    async with serving(synced, metrics="token") as plain_url:
        assert plain_url
    exported = await _everything(synced, certificate)
    assert names <= exported.names
    labels = set(re.findall(r"\$labels\.(\w+)", ALERTS.read_text())) - {"instance"}
    assert labels <= {label for s in exported.samples for label in s.labels}


async def test_every_metric_is_documented_and_no_other(synced, certificate):
    table = (ROOT / "docs/monitoring.md").read_text()
    documented = set(re.findall(r"^\| `(mirror_[a-z0-9_]+)", table, re.MULTILINE))
    exported = await _everything(synced, certificate)
    base = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported.names}
    assert documented == base


async def _everything(synced, certificate):
    """Return a scrape of a mirror that has TLS, too."""
    import mirror.server.metrics as module

    settings = synced.mirror.settings
    server = settings.server.model_copy(update={"tls_certificate": certificate})
    synced.mirror.settings = settings.model_copy(update={"server": server})
    body, _ = await asyncio.to_thread(
        module.Metrics(Board.create(1), lambda: synced.mirror).scrape, ""
    )
    return Scrape(body.decode())


def _expressions(text):
    """Return what stands behind each `expr:`, folded lines and all."""
    found = re.findall(r"^( +)expr:(.*(?:\n\1 +.*)*)", text, re.MULTILINE)
    assert len(found) == text.count("- alert:")
    return "\n".join(body for _, body in found)


# --- certificates --------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate with its key, as openssl makes one; it lives for ten days."""
    file = tmp_path / "tls.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "10", "-subj", "/O=Example/CN=mirror.example"),
            *("-keyout", str(file), "-out", str(tmp_path / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    file.write_bytes(file.read_bytes() + (tmp_path / "cert.pem").read_bytes())
    return file


def test_when_a_certificate_expires(certificate):
    left = expiry(certificate) - datetime.now(UTC)
    assert timedelta(days=9, hours=23) < left <= timedelta(days=10)


@pytest.mark.parametrize("days", ["3650", "36500"])
def test_also_beyond_2050(days, tmp_path):
    file = tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", days),
            *("-subj", "/CN=x", "-keyout", str(tmp_path / "key.pem"), "-out", str(file)),
        ],
        check=True,
        capture_output=True,
    )
    said = subprocess.run(
        ["openssl", "x509", "-enddate", "-noout", "-in", str(file)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    at = datetime.strptime(said, "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    assert expiry(file) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate_is_said(text, tmp_path):
    file = tmp_path / "cert.pem"
    file.write_text(text)
    with pytest.raises(TlsInvalid, match=r"cert\.pem"):
        expiry(file)
    with pytest.raises(TlsInvalid, match="none"):
        expiry(tmp_path / "none.pem")


# --- /readyz -------------------------------------------------------------------------------------


async def _ready(url, *expected):
    """Wait until /readyz has these warnings; return its status."""
    async with asyncio.timeout(10):
        while True:
            status, _, body = await _get(url + "/readyz")
            if set(msgspec.json.decode(body)["warnings"]) == set(expected):
                return status
            await asyncio.sleep(0.05)


async def test_a_stale_source_and_a_failing_sync_leave_it_ready(synced, sample_upstream):
    (sample_upstream.root / "streams").rename(sample_upstream.root / "away")
    with pytest.raises(HttpStatus):
        await synced.sync()
    async with serving(synced) as url:
        assert await _ready(url, "source_failing", "sync_failing") == 200
    (sample_upstream.root / "away").rename(sample_upstream.root / "streams")
    await synced.sync()
    tiny = timedelta(microseconds=1)
    synced.mirror.sources.update("main", {"max_staleness": tiny}, by="test")
    async with serving(synced) as url:
        assert await _ready(url, "source_stale") == 200


async def test_a_catalogue_that_can_not_be_read_leaves_it_ready(synced):
    synced.mirror.close()
    for file in synced.root.glob("catalog.sqlite*"):
        file.write_bytes(b"this is no database" * 100)
    async with serving(synced) as url:
        assert await _ready(url, "catalogue_unreadable") == 200


async def test_a_certificate_that_expires_soon_is_a_warning(synced, certificate):
    (synced.root / "mirror.toml").write_text(f'server.tls_certificate = "{certificate}"\n')
    async with serving(synced) as url:
        assert await _ready(url, "certificate_expiring") == 200
