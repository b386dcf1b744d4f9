"""One piece of work on a custom image, as the plugin's process does it: for the benchmarks.

python -m benchmarks.image_work check FILE FTYPE
python -m benchmarks.image_work build FILE FTYPE FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from mirror.api import BuildOrder, Distribution, Item, Product, Version
from mirror.images.declaration import Declaration, product_of
from mirror.plugin_manager import load_plugins


def _distribution(product: Product) -> Distribution:
    found = load_plugins(allow=["custom_images"], strict=True).claimant(product)
    if found is None:
        raise SystemExit("the plugin for custom images is not installed")
    return found


def main() -> None:
    """Do it, and print what came of it."""
    verb, name, ftype, *folder = sys.argv[1:]
    file = Path(name)
    product = product_of(Declaration(os="rhel", release="9", ftype=ftype))
    distribution = _distribution(product)
    if verb == "check":
        item = Item(ftype, ftype, f"custom/{ftype}", "0" * 64, file.stat().st_size)
        version = Version("20260101", (item,))
        for finding in distribution.validate(product, version, {ftype: file}):
            print(finding.severity.value, finding.code, finding.where, finding.message)
    else:
        scratch = Path(folder[0]) / "scratch"
        scratch.mkdir()
        order = BuildOrder(ftype=ftype)
        built = distribution.build(product, file, order, scratch, lambda *_: None)
        print(built.ftype, built.file.stat().st_size, built.attributes)


if __name__ == "__main__":
    main()
