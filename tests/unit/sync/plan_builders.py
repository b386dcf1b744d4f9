"""Small values to plan with."""

from __future__ import annotations

import hashlib
from typing import Any

from mirror.model import BootSource, Item, Product, Selection, Version
from mirror.plugin_manager import Plugins
from mirror.sync.plan import Offer, Plan, Planned, make_plan


class Everything:
    """A distribution that claims whatever has an os, and requires bootloaders."""

    id = "everything"

    def claims(self, product):
        return "os" in product.attributes

    def describe(self, product):
        return product.name

    def default_sources(self):
        return ()

    def required(self, product):
        return "bootloader-type" in product.attributes

    def choose_items(self, product, version):
        return [item for item in version.items if item.name != "unwanted"]

    def validate(self, product, version, files):
        return ()

    def derive(self, product, version, files, scratch):
        return ()


PLUGINS = Plugins((Everything(),), ())
ALL = (Selection(1, ("os=ubuntu",)),)


def item(path: str, content: str = "", **attributes: Any) -> Item:
    sha256 = hashlib.sha256((content or path).encode()).hexdigest()
    return Item(path.rpartition("/")[2], "squashfs", path, sha256, 10, attributes)


def product(name: str, *versions: str, os: str = "ubuntu", **attributes: str) -> Product:
    built = tuple(Version(v, (item(f"{name}/{v}/squashfs"),)) for v in versions)
    about = {"os": os, "release": name, "arch": "amd64", **attributes}
    return Product(name, "content", about, built)


def offer(*products: Product, source: str = "main", priority: int = 0, rejected=()) -> Offer:
    boot_source = BootSource(source, f"http://{source}/", priority=priority)
    return Offer(boot_source, f"http://{source}/", products, tuple(rejected))


def as_published(plan: Plan) -> dict[str, Planned]:
    return {each.product.name: Planned(each.product, each.source) for each in plan.products}


def versions(plan: Plan) -> dict[str, list[str]]:
    return {p.product.name: [v.name for v in p.product.versions] for p in plan.products}


def plan_of(*offers: Offer, selections=ALL, published=None, plugins=PLUGINS, **more) -> Plan:
    return make_plan(offers, selections, plugins, published or {}, **more)
