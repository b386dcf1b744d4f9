"""These tests take minutes, root and a network of packages: `make e2e` runs them, nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

collect_ignore_glob = [] if os.environ.get("MIRROR_E2E") else ["test_*.py"]
CACHE = Path(__file__).parents[2] / "e2e-cache"


@pytest.fixture(scope="session")
def debian_cache():
    """Real artefacts in two versions, built by the first run and kept in `e2e-cache`."""
    from debian_upstream import build, missing

    lacking = missing()
    assert not lacking, f"make e2e needs {'; '.join(lacking)}"
    return build(CACHE)


@pytest.fixture
def debian_upstream(debian_cache, signing_key, tmp_path):
    """A signed upstream of real artefacts that has published its first version."""
    from debian_products import debian_products

    from mirror.testing.sample import SampleUpstream

    return SampleUpstream.create(
        tmp_path / "debian",
        key=signing_key,
        versions=1,
        products=debian_products(debian_cache),
    )


@pytest.fixture
def debian_plugin(tmp_path, monkeypatch):
    """Debian's plugin, installed for the programs that a test runs; return where it is."""
    from mirror.testing.install import install_plugin

    folder = tmp_path / "site"
    folder.mkdir()
    install_plugin(folder, "debian", Path(__file__).with_name("debian_plugin.py").read_text())
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    return folder
