from __future__ import annotations

import subprocess
import sys
import urllib.request


def test_the_plugin_imports_next_to_nothing():
    code = (
        "import sys, mirror.testing.pytest_plugin;"
        "print([m for m in ('aiohttp', 'gnupg', 'msgspec', 'zstandard') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_sample_upstream_is_signed_by_the_signing_key(sample_upstream, signing_key):
    assert sample_upstream.fingerprint == signing_key.fingerprint
    assert sample_upstream.keyring.read_bytes() == signing_key.public_binary()
    assert (sample_upstream.root / "streams/v1/index.sjson").is_file()


def test_the_two_keys_differ(signing_key, other_signing_key):
    assert signing_key.fingerprint != other_signing_key.fingerprint


def test_serve_gives_a_url_and_notes_requests(sample_upstream, serve):
    served = serve(sample_upstream.root)
    with urllib.request.urlopen(f"{served.url}/streams/v1/index.json") as response:
        assert response.status == 200
    assert served.paths() == ["/streams/v1/index.json"]


def test_two_directories_can_be_served_at_once(tmp_path, serve):
    (tmp_path / "a").write_text("a")
    first, second = serve(tmp_path), serve(tmp_path)
    assert first.url != second.url
    with urllib.request.urlopen(f"{second.url}/a") as response:
        assert response.read() == b"a"
    assert first.paths() == []
