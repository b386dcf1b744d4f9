"""Checks of the plugins: what became of each, and what they are confined by on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.doctor.report import Check, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.service import Mirror

_UNFENCED = (
    "Code that does not go through Python's own functions can read what the mirror's user can, and "
    "write it: use a kernel with Landlock (Linux 5.13 or newer; `lsm=landlock,...`), or allow only "
    "plugins that you trust: [plugins] allow."
)


def plugin_checks(mirror: Mirror) -> Iterator[Check]:
    """Look at what was loaded, and at what keeps a plugin to its files."""
    records = mirror.plugins.records
    for record in records:
        if record.status == "failed":
            what = f"plugin {record.name} was not loaded: {record.error}"
            yield problem("plugins", what, record.remedy)
        remedy = f"Upgrade it, or tell its author: {record.package} {record.version}."
        if record.status in {"blocked", "missing"}:
            remedy = "Install it, or take its name out of mirror.toml."
        for said in record.warnings:
            yield warning("plugins", f"plugin {record.name}: {said}", remedy)
    loaded = [record.name for record in records if record.status == "loaded"]
    if not loaded:
        yield problem("plugins", "there is no plugin: no product is known", "Install one.")
    else:
        yield ok("plugins", f"loaded: {', '.join(loaded)}")
    yield _confinement()


def _confinement() -> Check:
    from mirror.isolation.confine import confinement
    from mirror.isolation.landlock import landlock_version

    name, what = "plugin confinement", confinement()
    return ok(name, what) if landlock_version() else warning(name, what, _UNFENCED)
