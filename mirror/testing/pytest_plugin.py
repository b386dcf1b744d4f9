"""Fixtures for whoever tests with the mirror; pytest loads this by itself (entry point `mirror`).

    def test_my_images(sample_upstream, serve):
        sample_upstream.add_version()
        sample_upstream.write()
        served = serve(sample_upstream.root)
        ...                                    # sync from served.url
        assert served.paths()[0] == "/streams/v1/index.sjson"

The suite for a distribution is `mirror.testing.DistributionConformance`; all of the kit is in
docs/testing-plugins.md.

| fixture | what |
| --- | --- |
| `signing_key` | an OpenPGP key for sample upstreams; one for the whole run |
| `other_signing_key` | another one, that nobody trusts |
| `sample_upstream` | a signed `SampleUpstream` of two versions, fresh for each test |
| `serve` | serve a directory until the test ends: `serve(root).url` |
| `running_mirror` | a mirror with a server, fresh for each test: see `mirror.testing.running` |
| `misbehave` | the same with faults: `url, upstream = misbehave(root)`, see `bad_upstream` |
| `install_plugin` | install a plugin of which you have the code: `install_plugin("rocky", CODE)` |
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING, Protocol

import pytest

# Only pytest is imported before a test asks for a fixture: the plugin is loaded in every run.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mirror.signing.key import SigningKey
    from mirror.testing.bad_upstream import BadUpstream
    from mirror.testing.conformance.specimen import Specimen
    from mirror.testing.running import RunningMirror
    from mirror.testing.sample import SampleUpstream
    from mirror.testing.serve import Request


class Served:
    """A directory that is being served: its `url` (no last slash) and the `requests` so far."""

    def __init__(self, url: str, requests: list[Request]) -> None:
        self.url = url
        self.requests = requests

    def paths(self) -> list[str]:
        """Return the paths that were asked for, in order, each with its first slash."""
        return [request.path for request in self.requests]


class Serve(Protocol):
    """What the fixture `serve` gives."""

    def __call__(self, root: Path, *, port: int = 0) -> Served:
        """Serve `root` until the test ends; port 0 is any that is free."""
        ...


class InstallPlugin(Protocol):
    """What the fixture `install_plugin` gives."""

    def __call__(self, name: str, source: str, version: str = "1.5") -> None:
        """Install the plugin `name` with this code, in place of an older one."""
        ...


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningKey]:
    """Return a key for sample upstreams."""
    with _key(tmp_path_factory.mktemp("signing-key"), "Sample upstream") as key:
        yield key


@pytest.fixture(scope="session")
def other_signing_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningKey]:
    """Return a key that nobody trusts."""
    with _key(tmp_path_factory.mktemp("other-signing-key"), "Somebody else") as key:
        yield key


@pytest.fixture(scope="session")
def _first_sample(
    tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey
) -> SampleUpstream:
    from mirror.testing.sample import SampleUpstream

    return SampleUpstream.create(tmp_path_factory.mktemp("sample") / "upstream", key=signing_key)


@pytest.fixture
def sample_upstream(tmp_path: Path, _first_sample: SampleUpstream) -> SampleUpstream:
    """Return a signed sample of two versions below `tmp_path`."""
    return _first_sample.copied(tmp_path / "sample-upstream")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that serves a directory, in a thread, until the test ends."""
    from mirror.testing.serve import serve_in_thread

    with contextlib.ExitStack() as servers:

        def start(root: Path, *, port: int = 0) -> Served:
            log: list[Request] = []
            return Served(servers.enter_context(serve_in_thread(root, log, port=port)), log)

        yield start


@pytest.fixture
def running_mirror(tmp_path: Path) -> Iterator[RunningMirror]:
    """Return a mirror that serves what it has published, until the test ends."""
    from mirror.testing.running import running_mirror

    with running_mirror(tmp_path / "mirror") as mirror:
        yield mirror


@pytest.fixture(scope="class")
def specimen(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    signing_key: SigningKey,
) -> Iterator[Specimen]:
    """Return what the checks of a `DistributionConformance` look at: its `sample`, published."""
    from mirror.testing.conformance.specimen import prepared

    with prepared(request.cls.sample, tmp_path_factory.mktemp("specimen"), signing_key) as specimen:
        yield specimen


@pytest.fixture(scope="class")
def specimen_mirror(
    specimen: Specimen, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningMirror]:
    """Return a mirror that has taken the sample from a boot source, and serves it."""
    from mirror.testing.conformance.syncing import mirrored

    with mirrored(specimen, tmp_path_factory.mktemp("mirrored")) as mirror:
        yield mirror


@pytest.fixture
def misbehave() -> Iterator[Callable[[Path], tuple[str, BadUpstream]]]:
    """Return a function that serves a directory, with faults, until the test ends."""
    from mirror.testing.bad_upstream import BadUpstream

    with contextlib.ExitStack() as servers:

        def start(root: Path) -> tuple[str, BadUpstream]:
            upstream = BadUpstream(root)
            return servers.enter_context(upstream.serve_in_thread()), upstream

        yield start


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InstallPlugin]:
    """Return a function that installs a plugin until the test ends, for programs, too."""
    from mirror.testing.install import install_plugin, module_name

    folder = tmp_path / "installed-plugins"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    imported: set[str] = set()

    def install(name: str, source: str, version: str = "1.5") -> None:
        install_plugin(folder, name, source, version)
        imported.add(module_name(name))
        sys.modules.pop(module_name(name), None)
        importlib.invalidate_caches()

    yield install
    for module in imported:
        sys.modules.pop(module, None)


def _key(home: Path, name: str) -> SigningKey:
    from mirror.signing.key import SigningKey

    return SigningKey.create(home / "gnupg", name, algorithm="ed25519")
