from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirror.errors import AlreadyExists, GpgMissing, SigningFailed, StoreError, UsageProblem
from mirror.signing.key import ED25519, SigningKey
from mirror.signing.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningKey]:
    with SigningKey.create(tmp_path_factory.mktemp("key"), "mirror", algorithm=ED25519) as key:
        yield key


@pytest.fixture(scope="module")
def verifier(key: SigningKey) -> Iterator[Verifier]:
    with Verifier(key.public_armored(), [key.fingerprint], name="mirror") as verifier:
        yield verifier


def agents(home: Path) -> list[str]:
    """The command lines of running programs that name this home (a zombie has none)."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [line for line in lines if str(home) in line]


def wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while (list(folder.iterdir()) or agents(folder)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(folder.iterdir()) == []
    assert agents(folder) == []


@pytest.mark.parametrize(
    "text",
    [
        b"{}\n",
        b"\n",
        b"- dash\n-----BEGIN PGP SIGNATURE-----\nFrom here\n\n",
        '{\n "name": "Zürich 漢字"\n}\n'.encode(),
        b"x" * 19_000 + b"\n",
    ],
)
def test_clearsign_keeps_every_byte(key: SigningKey, verifier: Verifier, text: bytes) -> None:
    assert verifier.clearsigned(key.clearsign(text)).plaintext == text


@pytest.mark.parametrize(
    "text", [b"", b"no newline", b"space \n", b"tab\t\nx\n", b"dos\r\n", b"x" * 30_000 + b"\n"]
)
def test_a_text_that_would_not_survive_is_refused(key: SigningKey, text: bytes) -> None:
    with pytest.raises(SigningFailed):
        key.clearsign(text)


@pytest.mark.parametrize("data", [b"", b"\0\xff" * 1000, b"dos \r\n"])
def test_detached_signatures_are_of_any_bytes(
    key: SigningKey, verifier: Verifier, data: bytes
) -> None:
    assert verifier.detached(data, key.detach(data)).plaintext == data


def test_gpgv_accepts_what_we_sign(key: SigningKey, tmp_path: Path) -> None:
    (tmp_path / "mirror.gpg").write_bytes(key.public_binary())
    (tmp_path / "index.sjson").write_bytes(key.clearsign(b"{}\n"))
    command = ["gpgv", "--keyring", str(tmp_path / "mirror.gpg"), "--output", "-"]
    done = subprocess.run(
        [*command, str(tmp_path / "index.sjson")], capture_output=True, check=True
    )
    assert done.stdout == b"{}\n"


def test_many_threads_sign_at_once(key: SigningKey, verifier: Verifier) -> None:
    texts = [b"%d\n" % number for number in range(24)]
    with ThreadPoolExecutor(12) as pool:
        signed = list(pool.map(key.clearsign, texts))
    assert [verifier.clearsigned(data).plaintext for data in signed] == texts


def test_the_default_key_is_rsa_and_never_expires(tmp_path: Path) -> None:
    with SigningKey.create(tmp_path / "key", "Spiegel Zürich 漢") as key:
        home = ["--homedir", str(key.home)]
        listing = subprocess.run(
            ["gpg", *home, "--with-colons", "--list-keys"], capture_output=True, check=True
        ).stdout.decode()
        pub = next(line.split(":") for line in listing.splitlines() if line.startswith("pub:"))
        assert (pub[2], pub[3], pub[6], pub[11].lower()) == ("3072", "1", "", "scsc")
        assert ":Spiegel Zürich 漢:" in listing
        assert key.fingerprint in listing
        assert b"Hash: SHA512" in key.clearsign(b"{}\n")


def test_the_key_is_private(key: SigningKey) -> None:
    for secret in (key.home / "private-keys-v1.d").iterdir():
        assert secret.stat().st_mode & 0o077 == 0
    assert (key.home / "private-keys-v1.d").stat().st_mode & 0o077 == 0


def test_a_new_home_is_private_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        SigningKey.create(tmp_path / "key", "mirror", algorithm=ED25519)
    finally:
        os.umask(old)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o700


def test_open_gives_the_same_key(key: SigningKey) -> None:
    with SigningKey.open(key.home) as again:
        assert again.fingerprint == key.fingerprint
        assert again.public_binary() == key.public_binary()


def test_a_key_is_not_replaced(key: SigningKey) -> None:
    with pytest.raises(AlreadyExists):
        SigningKey.create(key.home, "mirror", algorithm=ED25519)


def test_creation_goes_on_after_it_was_cut_short(tmp_path: Path) -> None:
    first = SigningKey.create(tmp_path / "key", "mirror", algorithm=ED25519)
    (first.home / "public.asc").unlink()
    with pytest.raises(SigningFailed, match="no key"):
        SigningKey.open(first.home)
    with SigningKey.create(first.home, "mirror", algorithm=ED25519) as second:
        signed = second.clearsign(b"{}\n")
    with Verifier(second.public_binary(), [second.fingerprint], name="m") as verifier:
        assert verifier.clearsigned(signed).plaintext == b"{}\n"


@pytest.mark.parametrize(("name", "algorithm"), [("", ED25519), ("a\nb", ED25519), ("a", "dsa")])
def test_what_can_not_be_a_key(tmp_path: Path, name: str, algorithm: str) -> None:
    with pytest.raises(UsageProblem):
        SigningKey.create(tmp_path / "key", name, algorithm=algorithm)


def test_a_home_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SigningFailed, match="can't be made"):
        SigningKey.create(tmp_path / "file" / "key", "mirror", algorithm=ED25519)


def test_a_home_whose_secret_key_is_gone(tmp_path: Path) -> None:
    with SigningKey.create(tmp_path / "key", "mirror", algorithm=ED25519) as key:
        for secret in (key.home / "private-keys-v1.d").iterdir():
            secret.unlink()
        with pytest.raises(SigningFailed, match="could not sign"):
            key.clearsign(b"{}\n")


def test_no_gpg_on_this_machine(key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with SigningKey.open(key.home) as lost, pytest.raises(GpgMissing):
        lost.clearsign(b"{}\n")
    with Verifier(key.public_binary(), name="src") as verifier, pytest.raises(GpgMissing):
        verifier.detached(b"", key.public_armored().replace(b"PUBLIC KEY BLOCK", b"SIGNATURE"))


def test_a_path_longer_than_a_socket_address(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 30) / "gnupg"
    with SigningKey.create(home, "mirror", algorithm=ED25519) as key:
        signed = key.clearsign(b"{}\n")
    with Verifier(key.public_binary(), name="m") as verifier:
        assert verifier.clearsigned(signed).plaintext == b"{}\n"


@pytest.mark.parametrize("length", [60, 66, 67, 68, 70, 79, 80, 90])
def test_a_temporary_directory_of_any_length(
    key: SigningKey, temporary: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    folder = temporary / ("d" * (length - len(str(temporary)) - 1))
    folder.mkdir()
    assert len(str(folder)) == length
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with SigningKey.open(key.home) as other:
        assert other.detach(b"x")


def test_close_ends_the_agent_and_signing_again_starts_one(
    key: SigningKey, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with SigningKey.open(key.home) as other:
        for _ in range(2):
            other.detach(b"x")
            assert len(list(temporary.iterdir())) == 1
            assert agents(temporary)
            other.close()
            wait_until_gone(temporary)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_stays_when_the_process_is_killed(
    key: SigningKey, temporary: Path, how: signal.Signals
) -> None:
    program = (
        "import sys, time; from pathlib import Path; from mirror.signing.key import SigningKey\n"
        "from mirror.signing.verify import Verifier\n"
        "key = SigningKey.open(Path(sys.argv[1])); signature = key.detach(b'x')\n"
        "verifier = Verifier(key.public_binary(), name='x'); verifier.detached(b'x', signature)\n"
        "print('signed', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(key.home)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"signed\n"
    assert len(list(temporary.iterdir())) == 2
    assert agents(temporary)
    child.send_signal(how)
    child.communicate()
    wait_until_gone(temporary)


def test_a_home_that_was_cleaned_away_is_made_again(
    key: SigningKey, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    other = SigningKey.open(key.home)
    with other, Verifier(key.public_binary(), name="mirror") as verifier:
        for _ in range(2):
            assert verifier.detached(b"x", other.detach(b"x")).plaintext == b"x"
            for home in temporary.iterdir():
                shutil.rmtree(home)
    wait_until_gone(temporary)


def test_a_temporary_directory_that_can_not_be_used(
    key: SigningKey, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary / "none"))
    with SigningKey.open(key.home) as other, pytest.raises(StoreError, match="none") as caught:
        other.detach(b"x")
    assert "TMPDIR" in caught.value.remedy
