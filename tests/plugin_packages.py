"""Plugins as a user installs them: a package with its metadata and an entry point."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from mirror.api import ENTRY_POINT_GROUP
from mirror.plugin_manager import PluginRecord, Plugins, load_plugins

ROCKY = """
    from mirror.api import Distribution, hookimpl

    class Rocky(Distribution):
        id = "rocky"
        def claims(self, product): return product.os == "rocky"
        def describe(self, product): return "Rocky"

    @hookimpl
    def mirror_distributions():
        return [Rocky()]
"""
"""A plugin that is as it should be."""


def write_package(
    root: Path,
    name: str,
    source: str,
    *,
    package: str = "",
    module: str = "",
    entry: str = "",
    **further: str,
) -> None:
    """Put a plugin called `name`, and further modules of it, into a directory of `sys.path`."""
    package = package or f"plug-{re.sub(r'[^A-Za-z0-9]', '-', name)}"
    module = module or package.replace("-", "_").lower()
    for each, text in {module: source, **further}.items():
        (root / f"{each}.py").write_text(textwrap.dedent(text))
    info = root / f"{package.replace('-', '_')}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{name} = {entry or module}\n")


def record(plugins: Plugins, name: str) -> PluginRecord:
    """Return what became of a plugin."""
    return next(each for each in plugins.records if each.name == name)


def error_of(name: str, **more: Any) -> str:
    """Load the plugins; return what is wrong with one, for which there is a remedy."""
    found = record(load_plugins(**more), name)
    assert found.status == "failed"
    assert found.remedy
    return found.error
