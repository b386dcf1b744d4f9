"""Install a plugin as pip would: a module, and a distribution with an entry point beside it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from mirror.api import ENTRY_POINT_GROUP

if TYPE_CHECKING:
    from pathlib import Path


def module_name(plugin: str) -> str:
    """Return the name of the module that a plugin's code goes into."""
    return f"plug_{plugin.replace('-', '_')}"


def install_plugin(folder: Path, name: str, source: str, version: str = "1.5") -> None:
    """Install the plugin `name`, of which `source` is the code, into a directory of Python's path.

    What was installed there under this name is replaced; a process that has imported it keeps it.
    """
    module = module_name(name)
    (folder / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    info = folder / f"{module}.dist-info"
    info.mkdir(exist_ok=True)
    metadata = f"Metadata-Version: 2.1\nName: plug-{name}\nVersion: {version}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    entry = f"[{ENTRY_POINT_GROUP}]\n{name} = {module}\n"
    (info / "entry_points.txt").write_text(entry, encoding="utf-8")
