"""A plugin: MIR-6xx."""

from __future__ import annotations

from mirror.errors.base import MirrorError


class PluginError(MirrorError, code="MIR-600"):
    """A plugin failed."""

    remedy = "Its products keep their last good versions. Report it to the plugin's author."


class PluginBroken(PluginError, code="MIR-601"):
    """A plugin could not be loaded."""

    remedy = "Run `mirror plugin list`; reinstall, upgrade or block the plugin that is named."


class ClaimConflict(PluginError, code="MIR-602"):
    """Two plugins claim the same product."""

    remedy = 'Block one of the two in mirror.toml: [plugins] block = ["NAME"].'


class ValidationFailed(PluginError, code="MIR-603", exit_status=3):
    """A plugin found that a version's files are not what they should be."""

    remedy = "The version was left out and the last good one is kept; see the findings."
