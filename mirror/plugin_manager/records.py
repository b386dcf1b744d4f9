"""What was loaded, and what became of each plugin."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from mirror.api import (
    Command,
    Distribution,
    PluginContext,
    Route,
    SnapshotPublished,
    SyncFinished,
)
from mirror.errors import ClaimConflict, PluginBroken, PluginError

if TYPE_CHECKING:
    import pluggy

    from mirror.model import Product

EVENT_HOOKS = {
    SyncFinished: "mirror_sync_finished",
    SnapshotPublished: "mirror_snapshot_published",
}
"""The hook that hears of each kind of event."""


class PluginRecord(msgspec.Struct, frozen=True):
    """What became of one plugin.

    `status` is `loaded`, `failed`, `blocked`, or `missing`: the settings name it, and it is not
    installed. `api` is the version of the plugin API that it asks for; `hooks` are those that it
    implements, `commands` the names of its commands, `routes` its routes as `GET /path`;
    `warnings` are what Python warned of while it was loaded.
    """

    name: str
    package: str
    version: str
    status: str
    distributions: tuple[str, ...] = ()
    error: str = ""
    remedy: str = ""
    api: str = ""
    hooks: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Plugins(msgspec.Struct, frozen=True):
    """The distributions that were loaded, and the record of every plugin found.

    By the name of the loaded plugin: its `commands`, its `routes`, the `contexts` that its hooks
    are given, in `relays` the hooks, and in `marks` what changes with its section of the settings.
    `prefer` names plugins, in order: the first of those that claim a product gets it.
    """

    distributions: tuple[Distribution, ...]
    records: tuple[PluginRecord, ...]
    commands: dict[str, tuple[Command, ...]] = {}
    routes: dict[str, tuple[Route, ...]] = {}
    contexts: dict[str, PluginContext] = {}
    relays: dict[str, pluggy.HookRelay] = {}
    marks: dict[str, str] = {}
    prefer: tuple[str, ...] = ()

    @property
    def versions(self) -> tuple[str, ...]:
        """Name every loaded plugin with its version and its settings, and what `prefer` says.

        A change here means to plan, and to validate, anew.
        """
        names = {r.name: f"{r.name}={r.version}" for r in self.records if _is_up(r)}
        marked = (
            f"{said}+{self.marks[name]}" if name in self.marks else said
            for name, said in names.items()
        )
        return (*marked, *(f"prefer={name}" for name in self.prefer))

    @property
    def listeners(self) -> dict[str, tuple[str, ...]]:
        """The names of the plugins that implement each event hook, by hook."""
        return {
            hook: tuple(each.name for each in self.records if _is_up(each) and hook in each.hooks)
            for hook in EVENT_HOOKS.values()
        }

    def plugin_of(self, distribution: str) -> str:
        """Return the name of the plugin that brought a distribution. Raises `KeyError`."""
        return self._brought(distribution).name

    def version_of(self, distribution: str) -> str:
        """Return the version of the plugin that brought a distribution. Raises `KeyError`."""
        return self._brought(distribution).version

    def tell(self, plugin: str, event: SyncFinished | SnapshotPublished) -> None:
        """Call a plugin's hook for an event; whatever that raises comes through."""
        hook = getattr(self.relays[plugin], EVENT_HOOKS[type(event)])
        hook(context=self.contexts[plugin], event=event)

    def demand_all(self) -> None:
        """Raise `PluginBroken`, which names each plugin that failed, where there is one."""
        failed = [each for each in self.records if each.status == "failed"]
        if not failed:
            return
        said = "; ".join(f"plugin {each.name!r}: {each.error}" for each in failed)
        raise PluginBroken(said, remedy=failed[0].remedy if len(failed) == 1 else "")

    # --- whose a product is -----------------------------------------------------------------------

    def claimant(self, product: Product) -> Distribution | None:
        """Return the one distribution that claims the product, or None.

        Raises `ClaimConflict`, which names both, where there are two and `prefer` settles nothing;
        `PluginError` where none claims it, and one failed to look at it.
        """
        try:
            claimants = [each for each in self.distributions if each.claims(product)]
        except Exception:  # noqa: BLE001  (a plugin's code: anything may come)
            claimants = self._claimants_despite_failures(product)
        if len(claimants) > 1:
            claimants = self._preferred(claimants)
        if len(claimants) > 1:
            raise self._conflict(product, claimants)
        return claimants[0] if claimants else None

    def claimants(self, product: Product) -> list[Distribution]:
        """Return those between which nothing decides. Raises `PluginError` as `claimant` does."""
        return self._preferred(self._claimants_despite_failures(product))

    def _claimants_despite_failures(self, product: Product) -> list[Distribution]:
        """Ask each by itself: one that fails does not take the products of the others along."""
        claimants, failures = [], []
        for each in self.distributions:
            try:
                if each.claims(product):
                    claimants.append(each)
            except Exception as error:  # noqa: BLE001  (a plugin's code: anything may come)
                failures.append(f"plugin {self._name_of(each)!r} failed to look at it: {error!r}")
        if failures and not claimants:
            raise PluginError(f"product {product.name!r}: {'; '.join(failures)}")
        return claimants

    def _preferred(self, claimants: list[Distribution]) -> list[Distribution]:
        for name in self.prefer:
            if preferred := [each for each in claimants if self._name_of(each) == name]:
                return preferred
        return claimants

    def _conflict(self, product: Product, claimants: list[Distribution]) -> ClaimConflict:
        who = [f"plugin {self._name_of(each)!r} (distribution {each.id!r})" for each in claimants]
        what = f"product {product.name!r} is claimed by {' and by '.join(who)}"
        names = list(dict.fromkeys(self._name_of(each) for each in claimants))
        if len(names) == 1:  # one plugin, with itself
            return ClaimConflict(
                what, remedy="Report it to the plugin's author, or block the plugin."
            )
        lines = [f"prefer = {json.dumps([*self.prefer, name])}" for name in names]
        return ClaimConflict(what, remedy=f"In mirror.toml, below [plugins]: {' or '.join(lines)}")

    # --- which plugin it is -----------------------------------------------------------------------

    def _name_of(self, distribution: Distribution) -> str:
        try:
            return self.plugin_of(distribution.id)
        except KeyError:
            return distribution.id

    def _brought(self, distribution: str) -> PluginRecord:
        for record in self.records:
            if distribution in record.distributions:
                return record
        raise KeyError(distribution)


def _is_up(record: PluginRecord) -> bool:
    return record.status == "loaded"
