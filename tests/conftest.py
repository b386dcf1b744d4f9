"""A mirror of its own for each test, and the command line as a user runs it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from harness import Cli, MirrorUnderTest

from mirror.service import Mirror
from mirror.settings import Settings, StoreSettings, SyncSettings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that fail fast."""
    return Settings(
        data_dir=tmp_path / "data",
        sync=SyncSettings(attempts=2, stall_timeout=2),
        store=StoreSettings(min_free=0),
    )


@pytest.fixture
def mut(settings: Settings):
    """Return a mirror under test: initialised, with no source and no selection."""
    with Mirror.create(settings, name="Mirror under test", algorithm="ed25519") as mirror:
        yield MirrorUnderTest(mirror)


@pytest.fixture
def cli(mut: MirrorUnderTest) -> Cli:
    """Return the command line for the data directory of `mut`."""
    return Cli(mut.root)


@pytest.fixture
def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
