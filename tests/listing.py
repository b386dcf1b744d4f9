"""A plugin that lists packages, for tests to install: it reads a manifest of names and versions."""

from __future__ import annotations

LISTING = """
from mirror.api import Distribution, Package, hookimpl
from mirror.formats import FormatError

class Listing(Distribution):
    id = "listing"

    def claims(self, product):
        return product.os in ("ubuntu", "centos") or "bootloader-type" in product.attributes

    def describe(self, product):
        return product.name

    def required(self, product):
        return "bootloader-type" in product.attributes

    def packages(self, product, version, files):
        assert product.versions == (version,)
        if "manifest" not in files:
            return
        text = files["manifest"].read_bytes()
        if not text.isascii() or b"\\x1b" in text:
            raise FormatError("is no text")
        for line in text.decode().splitlines():
            name, _, version = line.replace("\\t", " ").partition(" ")
            if not version:  # kernel-4.18.0-348.el8
                name, one, two = line.rsplit("-", 2)
                version = f"{one}-{two}"
            yield Package(name, version)

@hookimpl
def mirror_distributions():
    return [Listing()]
"""
