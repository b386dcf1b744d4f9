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


class CommandFailed(PluginError, code="MIR-604", http_status=422):
    """A plugin's command or route could not do what was asked."""

    remedy = "See what the message names; the plugin's own documentation says more."


class PluginLimitExceeded(PluginError, code="MIR-605", exit_status=3):
    """A plugin took too long, too much memory or too much disk, and was stopped."""

    remedy = (
        "Its versions were left out, the last good ones are kept. Report it to the plugin's "
        "author; [plugins] time_limit, memory_limit and disk_limit say how much it may take."
    )


class PluginCrashed(PluginError, code="MIR-606", exit_status=3):
    """The process of a plugin ended by itself."""

    remedy = (
        "Its versions were left out, the last good ones are kept. Report it to the plugin's author."
    )


class PluginTrespassed(PluginError, code="MIR-607", exit_status=3):
    """A plugin wrote outside its scratch directory, or wanted the network."""

    remedy = (
        "It was stopped, and its versions were left out. Block the plugin until its author has "
        "explained it: [plugins] block."
    )
