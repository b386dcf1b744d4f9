"""Bad input of every kind: the person gets a code and a remedy, and what is published stays."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta

import pytest

from mirror.cli.output import print_error
from mirror.cli.verbs import print_result
from mirror.errors import MirrorError
from mirror.testing.bad_upstream import (
    BadUpstream,
    claim_length,
    cut,
    endless,
    flip_byte,
    redirect,
    serve_from,
    stall,
    status,
    trickle,
    web_page,
)
from mirror.testing.sample import SampleUpstream

GA = "com.ubuntu.maas.stable:v3:boot:24.04:amd64:ga-24.04"
INDEX = "streams/v1/index.sjson"
PRODUCTS = "streams/v1/com.ubuntu.maas:stable:v3:download.sjson"
KERNEL = "noble/amd64/20250814/ga-24.04/generic/boot-kernel"


@pytest.fixture
def upstream(sample_upstream):
    return BadUpstream(sample_upstream.root)


@pytest.fixture
def published(mut, sample_upstream, upstream):
    """Publish a good snapshot, then let upstream go on; give the snapshot's id."""
    with upstream.serve_in_thread() as url:
        mut.add_source(sample_upstream, url)
        mut.select("os=ubuntu", "arch=amd64", "release=noble", keep=3)
        result = mut.sync_now()
        assert result.exit_status == 0
        sample_upstream.add_version(only="24.04:amd64")
        sample_upstream.write()
        yield result.snapshot


@pytest.fixture
def sync(mut, capsys):
    """Sync in this process; give the exit status and the words of the command line."""

    def run(**options) -> tuple[int, str]:
        try:
            result = mut.sync_now(**options)
        except MirrorError as error:
            print_error(error, as_json=False)
            return error.exit_status, capsys.readouterr().err
        print_result(result)
        return result.exit_status, capsys.readouterr().out

    return run


@pytest.fixture
def sync_fails(sync, mut, published):
    """Sync, and see that it ends so, says why and what to do, and changes nothing published."""

    def run(exit_status: int, code: str) -> str:
        before = mut.published()
        status, said = sync()
        assert (status, f"[{code}]" in said) == (exit_status, True), said
        assert mut.published().items() >= before.items()
        if exit_status != 3:
            assert mut.mirror.channels.pointers() == {"stable": published}
        assert "\n  " in said  # the remedy, below what happened
        return said

    return run


# --- the source as a whole ------------------------------------------------------------------------


def test_unreachable(sync, mut, sample_upstream, free_port):
    mut.add_source(sample_upstream, f"http://127.0.0.1:{free_port}/")
    mut.select("os=ubuntu")
    status, said = sync()
    assert (status, "[MIR-401]" in said) == (1, True)
    assert f"127.0.0.1:{free_port}" in said
    assert mut.mirror.channels.pointers() == {}


def test_no_such_host(sync, mut, sample_upstream):
    mut.add_source(sample_upstream, "http://mirror.invalid/")
    mut.select("os=ubuntu")
    status, said = sync()
    assert (status, "[MIR-401]" in said) == (1, True)
    assert "mirror.invalid" in said


def test_unsigned(sync_fails, mut, sample_upstream):
    text = (sample_upstream.root / "streams/v1/index.json").read_bytes()
    (sample_upstream.root / INDEX).write_bytes(text)
    sync_fails(4, "MIR-203")


def test_signed_by_another_key(sync_fails, mut, sample_upstream, other_signing_key):
    trusted = sample_upstream.keyring.read_bytes()
    sample_upstream.key = other_signing_key
    sample_upstream.write()
    sample_upstream.keyring.write_bytes(trusted)
    said = sync_fails(4, "MIR-205")
    assert other_signing_key.fingerprint[-16:] in said


def test_a_signature_that_does_not_fit(sync_fails, mut, sample_upstream):
    file = sample_upstream.root / PRODUCTS
    file.write_bytes(file.read_bytes().replace(b"Noble Numbat", b"Noble Wombat", 1))
    sync_fails(4, "MIR-204")


def test_older_than_what_we_saw(sync_fails, mut, sample_upstream):
    sample_upstream.set_updated(sample_upstream.updated - timedelta(days=1))
    sample_upstream.write()
    said = sync_fails(4, "MIR-207")
    assert "--accept-rollback" in said
    assert mut.sync_now(accept_rollback=True).exit_status == 0


def test_rolled_back_by_a_server_that_serves_yesterday(sync_fails, upstream, tmp_path, signing_key):
    yesterday = SampleUpstream.create(
        tmp_path / "yesterday", key=signing_key, updated=datetime.now(UTC) - timedelta(days=1)
    )
    upstream.on("streams/*", serve_from(yesterday.root), times=None)
    sync_fails(4, "MIR-207")


def test_same_time_other_content(sync_fails, mut, sample_upstream):
    sample_upstream.edit_products(lambda d: d["products"].pop(GA))
    sample_upstream.set_updated(sample_upstream.updated - timedelta(minutes=1))
    sample_upstream.write()
    sync_fails(4, "MIR-208")


def test_from_the_future(sync_fails, mut, sample_upstream):
    sample_upstream.set_updated(datetime.now(UTC) + timedelta(days=3))
    sample_upstream.write()
    sync_fails(4, "MIR-210")


def test_frozen(sync, mut, signing_key, tmp_path, serve):
    old = SampleUpstream.create(
        tmp_path / "old", key=signing_key, updated=datetime.now(UTC) - timedelta(days=9)
    )
    mut.add_source(old, serve(old.root).url)
    mut.select("os=ubuntu")
    status, said = sync()
    assert (status, "[MIR-209]" in said) == (4, True)
    assert "--max-staleness" in said


def test_index_and_products_that_do_not_belong_together(sync_fails, mut, sample_upstream):
    sample_upstream.edit_index(
        lambda d: d["index"]["com.ubuntu.maas:stable:v3:download"]["products"].pop()
    )
    sample_upstream.write()
    sync_fails(4, "MIR-211")


def test_truncated(sync_fails, mut, sample_upstream):
    file = sample_upstream.root / INDEX
    file.write_bytes(file.read_bytes()[:-200])
    sync_fails(4, "MIR-204")


@pytest.mark.parametrize("text", [b"<html><body>Log in</body></html>\n", b'{"format": "ind\n'])
def test_not_json_although_signed(sync_fails, mut, sample_upstream, text):
    sample_upstream.publish("index", text)
    sync_fails(1, "MIR-301")


def test_gigantic(sync_fails, mut, sample_upstream):
    with (sample_upstream.root / INDEX).open("ab") as file:
        file.truncate(5 << 20)
    sync_fails(1, "MIR-303")


def test_a_captive_portal(sync_fails, mut, upstream):
    upstream.on("*", web_page(), times=None)
    sync_fails(1, "MIR-301")


# --- what the bad upstream does to files ----------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (stall(), "MIR-403"),
        (stall(after=1000), "MIR-403"),
        (cut(after=1000), "MIR-404"),
        (claim_length(100), "MIR-213"),
        (claim_length(-100), "MIR-213"),
        (flip_byte(), "MIR-212"),
        (status(500), "MIR-402"),
        (status(503), "MIR-402"),
        (status(404), "MIR-402"),
        (status(403), "MIR-402"),
        (redirect(), "MIR-405"),
        (endless(), "MIR-213"),
        (web_page(), "MIR-213"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__qualname__.partition(".")[0],
)
def test_a_file_that_cannot_be_had_costs_its_version(sync_fails, mut, upstream, fault, code):
    upstream.on(KERNEL, fault, times=None)
    said = sync_fails(3, code)
    assert "ga-24.04 20250814" in said
    assert KERNEL not in mut.published()
    assert ("v3:boot:24.04:amd64:hwe-24.04", "20250814") in mut.versions()
    upstream.behave()
    assert mut.sync_now().exit_status == 0
    assert KERNEL in mut.published()


@pytest.mark.parametrize(
    "fault",
    [cut(after=1000), stall(after=1000), flip_byte(), status(503), status(500)],
    ids=lambda value: value.__qualname__.partition(".")[0],
)
def test_what_goes_wrong_once_is_tried_again(mut, upstream, published, fault):
    upstream.on(KERNEL, fault, times=1)
    assert mut.sync_now().exit_status == 0
    assert KERNEL in mut.published()


def test_a_trickle_is_given_up(cli, mut, upstream, published):
    upstream.on(KERNEL, trickle(chunk=1, every=0.2), times=None)
    ran = cli("sync", MIRROR_SYNC__LOW_SPEED="1000", MIRROR_SYNC__LOW_SPEED_TIME="1")
    assert ran.status == 3, ran.err
    assert "[MIR-403]" in ran.out


# --- one bad product among good ones --------------------------------------------------------------


def edit_kernel(sample, **change) -> None:
    def edit(document):
        items = document["products"][GA]["versions"]["20250814"]["items"]
        for key, value in change.items():
            if value is None:
                del items["boot-kernel"][key]
            else:
                items["boot-kernel"][key] = value

    sample.edit_products(edit)
    sample.write()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"path": "../../../etc/passwd"}, "MIR-304"),
        ({"path": "/etc/passwd"}, "MIR-304"),
        ({"path": "http://evil.example/x"}, "MIR-304"),
        ({"path": "streams/v1/index.json"}, "MIR-304"),
        ({"path": ".data/references.json"}, "MIR-304"),
        ({"sha256": None}, "MIR-306"),
        ({"sha256": "f" * 63}, "MIR-306"),
        ({"size": None}, "MIR-306"),
        ({"size": -1}, "MIR-306"),
        ({"size": 10}, "MIR-213"),
        ({"size": 1 << 40}, "MIR-404"),
        ({"sha256": "f" * 64}, "MIR-212"),
    ],
    ids=str,
)
def test_a_hostile_item_costs_its_version(sync_fails, mut, sample_upstream, change, code):
    edit_kernel(sample_upstream, **change)
    if change.get("size") == 1 << 40:
        # more than any disk: refused before the first byte, and nothing is lost
        sync_fails(1, "MIR-501")
        return
    sync_fails(3, code)
    assert ("v3:boot:24.04:amd64:ga-24.04", "20250814") not in mut.versions()
    assert ("v3:boot:24.04:amd64:hwe-24.04", "20250814") in mut.versions()


def test_two_versions_that_claim_one_path(sync_fails, mut, sample_upstream):
    other = sample_upstream.put("noble/other", b"something else")
    other["path"] = "noble/amd64/20250814/hwe-24.04/generic/boot-kernel"
    edit_kernel(sample_upstream, **other)
    sync_fails(3, "MIR-305")


# --- this side ------------------------------------------------------------------------------------


def test_a_keyring_that_is_missing(cli, mut, tmp_path):
    ran = cli("source", "add", "x", "http://x/", "--keyring", str(tmp_path / "none.gpg"))
    assert (ran.status, "[MIR-201]" in ran.err) == (1, True)
    assert str(tmp_path / "none.gpg") in ran.err
    assert "--keyring" in ran.err
    assert mut.mirror.catalog.sources() == []


def test_a_keyring_that_goes_missing(sync_fails, mut, sample_upstream, tmp_path):
    sample_upstream.keyring.unlink()
    sync_fails(1, "MIR-201")


def test_a_keyring_that_is_none(cli, mut, tmp_path):
    file = tmp_path / "keyring.gpg"
    file.write_bytes(b"not a key")
    ran = cli("source", "add", "x", "http://x/", "--keyring", str(file))
    assert (ran.status, "[MIR-202]" in ran.err) == (1, True)


def test_a_keyring_may_be_armored(cli, mut, sample_upstream, signing_key, tmp_path, serve):
    file = tmp_path / "keyring.asc"
    file.write_bytes(signing_key.public_armored())
    url = serve(sample_upstream.root).url
    assert cli("source", "add", "x", url, "--keyring", str(file)).status == 0
    assert cli("select", "add", "os=centos").status == 0
    assert cli("sync").status == 0


def test_no_keyring_at_all(cli):
    ran = cli("source", "add", "x", "http://x/")
    assert (ran.status, "[MIR-120]" in ran.err) == (2, True)
    assert "--keyring" in ran.err


@pytest.mark.parametrize(
    ("arguments", "exit_status", "code"),
    [
        (("source", "add", "../x", "http://x/", "--trust", "none"), 2, "MIR-109"),
        (("source", "add", "x", "ftp://x/", "--trust", "none"), 2, "MIR-120"),
        (("source", "add", "x", "http://x/", "--trust", "maybe"), 2, "MIR-120"),
        (("source", "show", "nobody"), 1, "MIR-106"),
        (("source", "remove", "nobody"), 1, "MIR-106"),
        (("select", "add", "release"), 2, "MIR-105"),
        (("select", "add", "release~("), 2, "MIR-105"),
        (("select", "add", "release=x", "--source", "nobody"), 1, "MIR-106"),
        (("select", "remove", "7"), 1, "MIR-106"),
        (("snapshot", "show", "nothing"), 1, "MIR-106"),
        (("snapshot", "remove", "../x"), 2, "MIR-109"),
        (("channel", "show", "nothing"), 1, "MIR-106"),
        (("channel", "rollback", "nothing"), 1, "MIR-106"),
        (("channel", "promote", "stable", "nothing"), 1, "MIR-106"),
        (("sync",), 1, "MIR-108"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_a_command_that_cannot_work(cli, arguments, exit_status, code):
    ran = cli(*arguments)
    assert (ran.status, f"[{code}]" in ran.err) == (exit_status, True), ran.err


def test_a_directory_that_cannot_be_written(cli):
    cli.data_dir = type(cli.data_dir)("/sys/kernel/maas-image-mirror")
    ran = cli("init")
    assert (ran.status, "[MIR-104]" in ran.err) == (1, True)


def test_a_directory_that_is_not_ours(cli, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("precious")
    cli.data_dir = tmp_path / "home"
    for command in (("init",), ("sync",), ("serve",), ("gc",)):
        ran = cli(*command)
        assert (ran.status, "[MIR-103]" in ran.err) == (1, True)
    assert [file.name for file in cli.data_dir.iterdir()] == ["thesis.txt"]


def test_a_directory_that_was_never_made(cli, tmp_path):
    cli.data_dir = tmp_path / "nothing"
    for command in (("sync",), ("serve",), ("source", "list")):
        ran = cli(*command)
        assert (ran.status, "[MIR-102]" in ran.err) == (1, True)
        assert "mirror init" in ran.err


def test_init_twice_changes_nothing(cli, mut):
    before = mut.mirror.key.fingerprint
    ran = cli("init")
    assert (ran.status, before in ran.out) == (0, True)


def test_a_disk_that_is_too_full(cli, mut, published):
    ran = cli("sync", MIRROR_STORE__MIN_FREE="1000 TiB")
    assert (ran.status, "[MIR-501]" in ran.err) == (1, True)
    assert mut.mirror.channels.pointers() == {"stable": published}


def test_a_port_in_use(cli):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = cli("serve", "--host", "127.0.0.1", "--port", port)
    assert (ran.status, "[MIR-701]" in ran.err) == (1, True)
    assert port in ran.err


def test_an_address_that_is_not_here(cli):
    ran = cli("serve", "--host", "192.0.2.1", "--port", "0")
    assert (ran.status, "[MIR-702]" in ran.err) == (1, True)
