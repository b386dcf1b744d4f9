"""The command line as a program: output for people, JSON for machines, exit statuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from harness import COMMAND, Cli


@pytest.fixture
def synced(cli, mut, sample_upstream, serve):
    url = serve(sample_upstream.root).url
    mut.add_source(sample_upstream, url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    mut.sync_now()
    return cli


def test_from_nothing_to_published(tmp_path, sample_upstream, serve):
    cli = Cli(tmp_path / "fresh")
    url = serve(sample_upstream.root).url
    init = cli("init", "--name", "Images for Ähnlich & Co")
    assert init.status == 0, init.err
    assert "next: mirror source add" in init.err
    added = cli(
        "source",
        "add",
        "main",
        url,
        "--keyring",
        str(sample_upstream.keyring),
        "--fingerprint",
        sample_upstream.fingerprint,
    )
    assert (added.status, "next: mirror select add" in added.err) == (0, True)
    selected = cli("select", "add", "os=ubuntu", "release=noble", "arch=amd64", "--keep", "1")
    assert (selected.status, "next: mirror sync --dry-run" in selected.err) == (0, True)
    dry = cli("sync", "--dry-run")
    assert dry.status == 0
    assert "would fetch" in dry.out
    assert "noble/amd64/20250715/squashfs" in dry.out
    synced = cli("sync")
    assert synced.status == 0
    assert "stable is at " in synced.out
    assert "signature good" in synced.err
    again = cli("sync")
    assert "nothing new; stable stays at " in again.out


def test_every_reading_command_prints_json(synced):
    for arguments in (
        ("source", "list"),
        ("source", "show", "main"),
        ("select", "list"),
        ("snapshot", "list"),
        ("snapshot", "show", "stable"),
        ("channel", "list"),
        ("channel", "show", "stable"),
        ("key", "show"),
        ("plugin", "list"),
        ("sync", "--dry-run"),
        ("verify",),
        ("gc", "--dry-run"),
    ):
        ran = synced(*arguments, "--json")
        assert ran.status == 0, (arguments, ran.err)
        assert json.loads(ran.out), arguments


def test_every_reading_command_prints_for_people(synced, mut):
    snapshot = mut.mirror.channels.pointers()["stable"]
    for arguments, words in (
        (("source", "list"), "main  0         signed"),
        (("source", "show", "main"), "name: main"),
        (("select", "list"), "os=ubuntu arch=amd64 release=noble"),
        (("snapshot", "list"), snapshot),
        (("snapshot", "show", snapshot), "noble/amd64/20250715/squashfs"),
        (("channel", "list"), f"stable   {snapshot}"),
        (("channel", "show", "stable"), "sync"),
        (("key", "show"), mut.mirror.key.fingerprint),
        (("plugin", "list"), "ubuntu bootloaders"),
        (("verify",), "read "),
        (("gc", "--dry-run"), "would delete 0 snapshots, 0 blobs"),
    ):
        ran = synced(*arguments)
        assert ran.status == 0, (arguments, ran.err)
        assert words in ran.out, (arguments, ran.out)


def test_errors_as_json(cli):
    ran = cli("source", "show", "nobody", "--json")
    error = json.loads(ran.err)["error"]
    assert (ran.status, error["code"]) == (1, "MIR-106")
    assert set(error) == {"code", "what", "remedy"}


def test_wrong_usage_is_2(cli):
    for arguments in (("nonsense",), ("source",), ("source", "add"), ("serve", "--port", "x")):
        assert cli(*arguments).status == 2, arguments


def test_bad_settings_are_2_and_name_the_key(cli):
    (cli.data_dir / "mirror.toml").write_text("[server]\nprot = 1\n")
    ran = cli("source", "list")
    assert (ran.status, "did you mean 'server.port'" in ran.err) == (2, True)


def test_a_snapshot_in_use_is_not_removed(synced, mut):
    snapshot = mut.mirror.channels.pointers()["stable"]
    ran = synced("snapshot", "remove", snapshot)
    assert (ran.status, "[MIR-504]" in ran.err) == (1, True)
    assert mut.mirror.store.snapshots.ids() == [snapshot]


def test_key_export(cli, mut, tmp_path):
    binary = subprocess.run(cli.command("key", "export"), capture_output=True, check=True).stdout
    assert binary == mut.mirror.key.public_binary()
    assert "BEGIN PGP PUBLIC KEY BLOCK" in cli("key", "export", "--armor").out


def test_the_reader_of_the_output_may_go_away(synced):
    pipe = subprocess.Popen(
        synced.command("snapshot", "show", "stable"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=synced.environment,
    )
    pipe.stdout.close()
    _, errors = pipe.communicate(timeout=60)
    assert pipe.returncode in {0, 1}
    assert b"Traceback" not in errors


def test_ctrl_c_in_a_sync_is_a_clean_end(cli, mut, sample_upstream):
    from mirror.testing.bad_upstream import BadUpstream, stall

    upstream = BadUpstream(sample_upstream.root)
    upstream.on("noble/*", stall(after=100), times=None)
    with upstream.serve_in_thread() as url:
        mut.add_source(sample_upstream, url)
        mut.select("os=ubuntu", "arch=amd64", "release=noble")
        process = cli.start("sync")
        while not any(path.startswith("/noble/") for path in upstream.paths()):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "[MIR-407]" in errors
    assert "Traceback" not in errors


def test_help_starts_quickly_and_imports_nothing_heavy():
    code = (
        "import sys; import mirror.cli.app; "
        "print([m for m in ('aiohttp', 'pydantic', 'sqlite_utils', 'gnupg', 'rich') "
        "if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_demo_ends_by_itself_and_leaves_what_can_be_served(tmp_path):
    root = tmp_path / "demo"
    done = subprocess.run(
        [*COMMAND, "demo", "--dir", str(root), "--once"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "every byte right" in done.stderr
    server = Cli(root).start("serve", "--host", "127.0.0.1", "--port", "0")
    url = server.stdout.readline().split()[1].partition("/images/")[0]
    with urllib.request.urlopen(f"{url}/images/stable/streams/v1/index.json") as answer:
        assert len(json.load(answer)["index"]) == 3
    server.terminate()
    server.communicate(timeout=30)
    assert server.returncode == 0
