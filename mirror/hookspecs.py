"""Every hook that a plugin may implement, with its contract.

Each plugin's are called by themselves: what one raises is recorded against that plugin, and hurts
no other. All but the events run in the mirror's own processes. An implementation may leave out any
argument that it does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.api import hookspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    import msgspec

    from mirror.api import (
        Command,
        Distribution,
        PluginContext,
        Route,
        SnapshotPublished,
        SyncFinished,
    )


@hookspec
def mirror_settings() -> type[msgspec.Struct]:  # type: ignore[empty-body]
    """Return the type of the plugin's section of mirror.toml, `[plugins.NAME]`.

    A msgspec.Struct, each field of which has a default. A key that it does not have, or a value of
    another type, is an error that names the nearest key. Called first, once. `mirror plugin show`
    prints each value, but not where the name has password, passphrase, secret, token or credential
    in it.
    """


@hookspec
def mirror_distributions(context: PluginContext) -> Iterable[Distribution]:  # type: ignore[empty-body]
    """Return the distributions that the plugin knows.

    Called once, when the plugin is loaded. Two distributions with one id are an error that names
    both plugins.
    """


@hookspec
def mirror_commands(context: PluginContext) -> Iterable[Command]:  # type: ignore[empty-body]
    """Return the commands that the plugin adds to `mirror`.

    A name that the mirror or another plugin has is an error that names both.
    """


@hookspec
def mirror_routes(context: PluginContext) -> Iterable[Route]:  # type: ignore[empty-body]
    """Return the routes that the plugin adds to the API, below /api/v1/plugins/NAME."""


@hookspec
def mirror_sync_finished(context: PluginContext, event: SyncFinished) -> None:
    """Hear that a sync has ended, however it did.

    Called in a process of its own, which has the network and may take 30 seconds. What it does
    changes nothing about the sync.
    """


@hookspec
def mirror_snapshot_published(context: PluginContext, event: SnapshotPublished) -> None:
    """Hear that a channel points at another snapshot: by a sync, a promotion, a rollback, a pin.

    Called as `mirror_sync_finished` is.
    """
