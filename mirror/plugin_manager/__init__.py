"""Find plugins, load each one by itself, and say what became of it.

A plugin that does not load is recorded with its remedy and left out; the others are not touched.
`records` has what comes of it, `load` the way there: `installed` finds the packages, `hooks` what
one plugin implements, `sections` reads its settings, `brought` and `routes` check what its hooks
return, `outcome` says what went wrong.
"""

from __future__ import annotations

from mirror.plugin_manager.load import load_configured, load_plugins
from mirror.plugin_manager.records import PluginRecord, Plugins

__all__ = ["PluginRecord", "Plugins", "load_configured", "load_plugins"]
