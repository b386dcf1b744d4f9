"""What a plugin's author gives the suite: products, bad versions of them, files to build from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mirror.testing.sample import SAMPLE_SIZE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mirror.testing.sample_products import SampleProduct


@dataclass(frozen=True)
class BadSample:
    """A version that must be refused: of the good one, `files` are replaced, by item name.

    `code` is that of a finding which must be there, an error. `product` is a part of the name of
    the product to spoil; empty: the first that has the items.
    """

    name: str
    files: Mapping[str, bytes]
    code: str
    product: str = ""


@dataclass(frozen=True, kw_only=True)
class BuildSample:
    """A file of which an image can be built: `data` becomes one of the file type `makes`.

    `ftype` and `options` are what is asked for. `product` is a part of the name of the product that
    the image is to be of; empty: the first one.
    """

    name: str
    data: bytes
    makes: str
    ftype: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    product: str = ""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A distribution, and a sample of what it is for.

    `plugin` is the name of its entry point, `distribution` its id. `products` are what a boot
    source offers, small and honest. `text_items` are those of which no one can see that they were
    cut, lists of packages above all. `settings` are an example of the plugin's section of
    mirror.toml. `size` is that of a root file system in bytes. `builds` are files that the
    distribution makes images of.
    """

    plugin: str
    distribution: str
    products: Sequence[SampleProduct]
    bad: Sequence[BadSample] = ()
    text_items: Collection[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    size: int = SAMPLE_SIZE
    builds: Sequence[BuildSample] = ()
