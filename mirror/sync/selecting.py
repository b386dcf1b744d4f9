"""Selections, ready to be asked about a product.

A selection's fields (`os`, `release`, `arches`, `subarches`, `labels`) become conditions like its
filters, and all must pass. A field's values are shell patterns: `*`, `hwe-*`, `*-edge`. What a
`subarches` value is compared with is the product's kernel, as MAAS names it: see `kernel_of`.
"""

from __future__ import annotations

import fnmatch
import re
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from mirror.model import flatten
from mirror.simplestreams.filters import Filter, matches, parse_filter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mirror.api import Distribution
    from mirror.model import Product, Selection, Version

_KERNEL = "the kernel"
"""A key that no filter can name (it has a space): what `subarches` are compared with."""

_INNER = frozenset({"ftype", "path", "sha256", "size", "version_name", "item_name"})


class Rule(msgspec.Struct, frozen=True):
    """A selection with its conditions parsed.

    `shallow` says that no version or item has an attribute that they ask for: a look at the product
    is enough. `labels` are those of the conditions that are about the label.
    """

    conditions: tuple[Filter, ...]
    labels: tuple[Filter, ...]
    shallow: bool
    source: str
    keep: int
    bootloaders: bool


class Wish(msgspec.Struct, frozen=True, gc=False):
    """What the selections want of a product: `keep` versions (0: nothing) of those `passing`."""

    keep: int = 0
    passing: tuple[Version, ...] = ()


NOTHING = Wish()


def kernel_of(attributes: Mapping[str, Any]) -> str:
    """Name a product's kernel as MAAS does: its `subarch`, with the flavour unless that is generic.

    `ga-22.04` + `lowlatency` is `ga-22.04-lowlatency`; `hwe-22.04-edge` + `lowlatency` is
    `hwe-22.04-lowlatency-edge`. Empty for what has no subarch.
    """
    subarch = str(attributes.get("subarch") or "")
    flavour = str(attributes.get("kflavor") or "generic")
    if flavour in ("generic", subarch) or not ("ga-" in subarch or "hwe-" in subarch):
        return subarch
    if subarch.endswith("-edge"):
        return f"{subarch.removesuffix('-edge')}-{flavour}-edge"
    return f"{subarch}-{flavour}"


def make_rules(selections: Iterable[Selection], products: Iterable[Product]) -> list[Rule]:
    """Parse the selections, to be asked about these products. Raises `FilterInvalid`."""
    inner = _inner_attributes(products)
    return [_rule(selection, inner) for selection in selections]


def conditions_of(selection: Selection) -> tuple[Filter, ...]:
    """Return every condition of a selection. Raises `FilterInvalid`."""
    fields = (
        ("os", (selection.os,)),
        ("release", (selection.release,)),
        ("arch", selection.arches),
        (_KERNEL, selection.subarches),
        ("label", selection.labels),
    )
    wanted = [_one_of(key, values) for key, values in fields if not _is_any(values)]
    return (*wanted, *(parse_filter(text) for text in selection.filters))


def passes(conditions: Iterable[Filter], product: Product) -> bool:
    """Say whether the product itself, without a look at its versions, passes every condition."""
    return matches(conditions, _about(product))


def wish_for(
    product: Product, source: str, rules: Iterable[Rule], distribution: Distribution | None
) -> Wish:
    """Return what the selections want of a product that `source` has.

    What its distribution calls required comes along with any selection that concerns the source,
    unless that leaves bootloaders out or asks for another label. A product of which no version
    could be read is wanted if it passes by itself.
    """
    concerned = [rule for rule in rules if rule.source in ("", source)]
    about: Mapping[str, Any] | None = None
    if concerned and distribution is not None and distribution.required(product):
        about = _about(product)
        keeps = [rule.keep for rule in concerned if _brings_along(rule, about)]
        if keeps:
            return Wish(max(keeps), product.versions)
    keep = 0
    names: set[str] = set()
    for rule in concerned:
        if rule.shallow or not product.versions:
            about = about or _about(product)
            if not matches(rule.conditions, about):
                continue
            passing: Sequence[str] = [version.name for version in product.versions]
        else:
            passing = _passing(product, rule)
            if not passing:
                continue
        keep = max(keep, rule.keep)
        names.update(passing)
    if not keep:
        return NOTHING
    if len(names) == len(product.versions):
        return Wish(keep, product.versions)
    return Wish(keep, tuple(version for version in product.versions if version.name in names))


def _rule(selection: Selection, inner: set[str]) -> Rule:
    conditions = conditions_of(selection)
    asked = {condition.key for condition in conditions}
    if _KERNEL in asked:
        asked |= {"subarch", "kflavor"}
    return Rule(
        conditions=conditions,
        labels=tuple(each for each in conditions if each.key == "label"),
        shallow=inner.isdisjoint(asked),
        source=selection.source,
        keep=selection.keep,
        bootloaders=selection.bootloaders,
    )


def _is_any(values: Sequence[str]) -> bool:
    return all(value == "" for value in values) or "*" in values


def _one_of(key: str, values: Sequence[str]) -> Filter:
    """Return the condition that the value of `key` is like one of these shell patterns."""
    text = f"{key} in {','.join(values)}"
    if len(values) == 1 and not re.search(r"[*?\[]", values[0]):
        return Filter(text, key, values[0], negated=False)
    patterns = "|".join(fnmatch.translate(value) for value in values)
    return Filter(text, key, "", negated=False, pattern=re.compile(rf"\A(?:{patterns})"))


def _brings_along(rule: Rule, about: Mapping[str, Any]) -> bool:
    """Say whether the selection wants what its distribution calls required, at this label."""
    return rule.bootloaders and ("label" not in about or matches(rule.labels, about))


def _about(product: Product) -> Mapping[str, Any]:
    return {
        "content_id": product.content_id,
        **product.attributes,
        "product_name": product.name,
        _KERNEL: kernel_of(product.attributes),
    }


def _passing(product: Product, rule: Rule) -> list[str]:
    """Name the versions of which an item passes every condition of the rule."""
    return [
        version.name
        for version in product.versions
        if any(
            matches(rule.conditions, {**about, _KERNEL: kernel_of(about)})
            for about in (flatten(product, version, item) for item in version.items)
        )
    ]


def _inner_attributes(products: Iterable[Product]) -> set[str]:
    """Return the names of all attributes that a version or an item has of its own."""
    names = set(_INNER)
    for version in chain.from_iterable(product.versions for product in products):
        names.update(version.attributes)
        for item in version.items:
            if item.attributes:
                names.update(item.attributes)
    return names
