"""Builds for tests: in this process, as the plugin's own does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror_custom_images.images import CustomImages

from mirror.api import BuildOrder
from mirror.images.declaration import Declaration, product_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mirror.api import Built

HOOKS = {
    "curtin-hooks": "#!/usr/bin/python3\nprint('hooks')\n",
    "setup-bootloader": "#!/bin/sh\n",
    "lib/names.json": "{}\n",
}


def build(
    file: Path,
    name: str = "custom/thing",
    ftype: str = "",
    *,
    hooks: Path | None = None,
    options: Mapping[str, str] | None = None,
    report=lambda *_: None,
    **more: str,
) -> Built:
    """Build an image of a file in a fresh directory beside it, where it must be alone."""
    os, _, release = name.partition("/")
    product = product_of(Declaration(os=os, release=release))
    number = len(list(file.parent.glob("scratch-*")))
    scratch = file.parent / f"scratch-{number}"
    scratch.mkdir()
    order = BuildOrder(ftype=ftype, hooks=hooks, options={**(options or {}), **more})
    try:
        built = CustomImages().build(product, file, order, scratch, report)
    except BaseException:
        assert [each.name for each in scratch.iterdir() if each.name != "image"] == []
        raise
    assert list(scratch.iterdir()) == [built.file]
    return built
