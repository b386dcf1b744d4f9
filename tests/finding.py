"""A plugin that finds faults, and knows when support ends, for tests to install."""

from __future__ import annotations

FINDING = """
from mirror.api import Distribution, Finding, Severity, hookimpl

class Tested(Distribution):
    id = "tested"

    def claims(self, product):
        return product.os == "ubuntu"

    def describe(self, product):
        return product.name

    def validate(self, product, version, files):
        if "ga-" in product.name:
            yield Finding(Severity.NOTE, "tested-small", "", "it is small")
            yield Finding(Severity.WARNING, "tested-kernel", "boot-kernel", "odd\\nversion")
        if version.name == "20250814" and product.release == "noble":
            yield Finding(Severity.ERROR, "tested-cut", "squashfs: superblock", "it is cut")

    def notices(self, product, today):
        ends = product.attributes["support_eol"]
        if product.release == "noble":
            yield Finding(Severity.WARNING, "tested-support", "", f"{today}: support ends {ends}")
        if product.release == "jammy":
            raise RuntimeError("no idea")

@hookimpl
def mirror_distributions():
    return [Tested()]
"""
