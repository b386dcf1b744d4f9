"""Find plugins, load each one by itself, and say what became of it.

A plugin that fails to import, to register, or that implements a hook which does not exist, is
recorded with its remedy and left out; the others are not touched.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

import msgspec
import pluggy

from mirror import hookspecs
from mirror.api import API_VERSION, ENTRY_POINT_GROUP, Distribution, PluginContext
from mirror.errors import ClaimConflict, PluginBroken

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mirror.model import Product


class PluginRecord(msgspec.Struct, frozen=True):
    """What became of one plugin. `status` is `loaded`, `failed` or `blocked`."""

    name: str
    package: str
    version: str
    status: str
    distributions: tuple[str, ...] = ()
    error: str = ""
    remedy: str = ""


class Plugins(msgspec.Struct, frozen=True):
    """The distributions that were loaded, and the record of every plugin found."""

    distributions: tuple[Distribution, ...]
    records: tuple[PluginRecord, ...]

    @property
    def versions(self) -> tuple[str, ...]:
        """Name every loaded plugin with its version: a change here means to validate anew."""
        return tuple(f"{r.name}={r.version}" for r in self.records if r.status == "loaded")

    def plugin_of(self, distribution: str) -> str:
        """Return the name of the plugin that brought a distribution. Raises `KeyError`."""
        return self._brought(distribution).name

    def version_of(self, distribution: str) -> str:
        """Return the version of the plugin that brought a distribution. Raises `KeyError`."""
        return self._brought(distribution).version

    def _brought(self, distribution: str) -> PluginRecord:
        for record in self.records:
            if distribution in record.distributions:
                return record
        raise KeyError(distribution)

    def claimant(self, product: Product) -> Distribution | None:
        """Return the one distribution that claims the product, or None.

        Raises `ClaimConflict` naming both where there are two.
        """
        claimants = [each for each in self.distributions if each.claims(product)]
        if len(claimants) > 1:
            names = " and ".join(repr(each.id) for each in claimants)
            raise ClaimConflict(f"product {product.name!r} is claimed by {names}")
        return claimants[0] if claimants else None


def load_plugins(
    *,
    allow: Collection[str] = (),
    block: Collection[str] = (),
    strict: bool = False,
    found: Iterable[EntryPoint] | None = None,
) -> Plugins:
    """Load the plugins of the entry-point group (or those `found`), one at a time, by name.

    With `strict`, the first one that fails raises `PluginBroken`.
    """
    manager = pluggy.PluginManager("mirror")
    manager.add_hookspecs(hookspecs)
    distributions: dict[str, Distribution] = {}
    records = []
    everything = entry_points(group=ENTRY_POINT_GROUP) if found is None else found
    for entry in sorted(everything, key=lambda each: each.name):
        if entry.name in block or (allow and entry.name not in allow):
            records.append(_record(entry, "blocked"))
            continue
        record, own = _load(manager, entry, distributions)
        if strict and record.error:
            raise PluginBroken(f"plugin {record.name!r}: {record.error}", remedy=record.remedy)
        distributions.update(own)
        records.append(record)
    return Plugins(distributions=tuple(distributions.values()), records=tuple(records))


def _load(
    manager: pluggy.PluginManager, entry: EntryPoint, taken: dict[str, Distribution]
) -> tuple[PluginRecord, dict[str, Distribution]]:
    try:
        module = entry.load()
        _check_api(module)
        manager.register(module, name=entry.name)
        manager.check_pending()
        own = _distributions(manager, module, PluginContext(entry.name), taken)
    except (Exception, SystemExit) as error:  # noqa: BLE001  (foreign code: anything may come)
        if manager.has_plugin(entry.name):
            manager.unregister(name=entry.name)
        return _failed(entry, error), {}
    return _record(entry, "loaded", distributions=tuple(own)), own


def _check_api(module: object) -> None:
    major, minor = getattr(module, "requires_api", (API_VERSION[0], 0))
    if major != API_VERSION[0] or minor > API_VERSION[1]:
        raise PluginBroken(
            f"it needs plugin API {major}.{minor}; this is {API_VERSION[0]}.{API_VERSION[1]}",
            remedy="Install versions of the plugin and of the mirror that fit each other.",
        )


def _distributions(
    manager: pluggy.PluginManager,
    module: object,
    context: PluginContext,
    taken: dict[str, Distribution],
) -> dict[str, Distribution]:
    others = [plugin for plugin in manager.get_plugins() if plugin is not module]
    hook = manager.subset_hook_caller("mirror_distributions", others)
    own: dict[str, Distribution] = {}
    for each in (distribution for result in hook(context=context) for distribution in result):
        if not isinstance(each, Distribution):
            raise TypeError(f"mirror_distributions returned {each!r}, not a Distribution")
        if each.id in taken or each.id in own:
            raise PluginBroken(
                f"there is a distribution {each.id!r} already",
                remedy="Block one of the two plugins in mirror.toml: [plugins] block.",
            )
        own[each.id] = each
    return own


def _failed(entry: EntryPoint, error: BaseException) -> PluginRecord:
    ours = isinstance(error, PluginBroken)
    remedy = str(getattr(error, "remedy", "")) if ours else PluginBroken.remedy
    said = str(error) if ours else f"{type(error).__name__}: {error}"
    return _record(entry, "failed", error=said, remedy=remedy)


def _record(
    entry: EntryPoint,
    status: str,
    *,
    distributions: tuple[str, ...] = (),
    error: str = "",
    remedy: str = "",
) -> PluginRecord:
    return PluginRecord(
        name=entry.name,
        package=entry.dist.name if entry.dist else "",
        version=entry.dist.version if entry.dist else "",
        status=status,
        distributions=distributions,
        error=error,
        remedy=remedy,
    )
