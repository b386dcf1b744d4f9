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

    remedy = 'Say whose it is in mirror.toml, below [plugins]: prefer = ["NAME"].'


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


class CommandBroken(PluginError, code="MIR-610"):
    """A plugin's command can't be imported, or failed in a way that it did not foresee."""

    remedy = (
        "Report it to the plugin's author: `mirror plugin show NAME` has the version, --verbose "
        "shows what led to it."
    )


class PluginTrespassed(PluginError, code="MIR-607", exit_status=3):
    """A plugin wanted files that are not its own, or the network."""

    remedy = (
        "It was stopped, and its versions were left out. Block the plugin until its author has "
        "explained it: [plugins] block."
    )


class DerivedRefused(PluginError, code="MIR-608", exit_status=3):
    """A file that a plugin made can't be published."""

    remedy = (
        "The version was left out, the last good one is kept. Report it to the plugin's author."
    )


class DerivedLost(PluginError, code="MIR-609", exit_status=4):
    """A file that a plugin made is lost or damaged, and could not be made again."""

    remedy = (
        "Run `mirror sync`: what is still published is derived and published anew. An older "
        "snapshot stays without the file, until retention or `mirror snapshot remove` lets it go."
    )


class PluginNotLoaded(PluginError, code="MIR-620", http_status=503):
    """A plugin is installed, and was not loaded or has routes that can't be used."""

    remedy = (
        "Run `mirror plugin list`, which says why; mend, upgrade or unblock the plugin, then "
        "restart the server."
    )


class PluginTimedOut(PluginError, code="MIR-621", http_status=504):
    """A plugin's route did not answer in time."""

    remedy = (
        "What it was asked to do may go on: look before you ask again. Report it to the plugin's "
        "author."
    )


class PluginBusy(PluginError, code="MIR-622", http_status=503):
    """As many requests as a plugin may answer at once are being answered."""

    remedy = "Try again in a minute; if it stays so, its routes hang: restart the server."


class PluginAnswerInvalid(PluginError, code="MIR-623"):
    """A plugin's route answered with something else than it says, or with too much."""

    remedy = "Find the request_id in the server's log, and report it to the plugin's author."


class ListenerFailed(PluginError, code="MIR-624"):
    """A plugin that was told of an event failed, or took too long."""

    remedy = (
        "Nothing else depends on it: the sync, or what was published, stays as it is. Report it to "
        "the plugin's author; the plugin is not told again."
    )
