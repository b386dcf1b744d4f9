"""Plugins that are installed for one test."""

from __future__ import annotations

import sys

import pytest
from plugin_packages import write_package


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a module and its entry point where Python looks for them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def put(name: str, source: str, **more: str) -> None:
        write_package(tmp_path, name, source, **more)

    yield put
    for name in set(sys.modules) - before:
        if name.startswith("plug_"):
            del sys.modules[name]
