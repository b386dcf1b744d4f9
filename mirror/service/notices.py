"""What plugins say of products today: that support of a release ends soon, or has ended.

They are asked when it is shown, and nothing is stored: it changes with the date.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import MirrorError
from mirror.model import Finding, Product, Severity, Version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from mirror.api import Distribution
    from mirror.plugin_manager import Plugins
    from mirror.sync.resources import BootResource

MOST = 20
"""Notices of one product that are shown."""

_LONGEST = 300
"""Characters of an error that a plugin raised."""


class ReleaseNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator should know of a release today, and of how many `products` it is true."""

    os: str
    release: str
    severity: Severity
    code: str
    message: str
    products: int


def notices_of(resource: BootResource, plugins: Plugins, today: date) -> tuple[Finding, ...]:
    """Ask the product's plugin; that it can't say is shown as its only notice.

    It sees the product's attributes, and its versions without their items.
    """
    versions = tuple(Version(each.name, ()) for each in resource.versions)
    product = Product(resource.product, resource.content_id, resource.attributes, versions)
    distribution = _distribution(resource.distribution, product, plugins)
    if distribution is None:
        return ()
    try:
        return tuple(map(_sound, islice(distribution.notices(product, today), MOST)))
    except (Exception, SystemExit) as error:  # noqa: BLE001  (a plugin's code: anything may come)
        what = f"{distribution.id!r} could not say what is to be known: {_said(error)}"
        return (Finding(Severity.WARNING, "plugin-failed", "", what),)


def _distribution(known: str, product: Product, plugins: Plugins) -> Distribution | None:
    """Return whose the product was when it was written down; if they are gone, whose it is now."""
    for each in plugins.distributions:
        if each.id == known:
            return each
    try:
        return plugins.claimant(product)
    except MirrorError:
        return None


def with_notices(
    resources: Iterable[BootResource], plugins: Plugins, today: date
) -> tuple[BootResource, ...]:
    """Return the products with what is to be known of each."""
    return tuple(
        msgspec.structs.replace(each, notices=notices_of(each, plugins, today))
        for each in resources
    )


def by_release(resources: Iterable[BootResource]) -> tuple[ReleaseNotice, ...]:
    """Put the notices of products together, by release: the gravest first, in the first's words."""
    first: dict[tuple[str, str, Severity, str], str] = {}
    products: dict[tuple[str, str, Severity, str], int] = {}
    for resource in resources:
        of_this = {
            (resource.os, resource.release, each.severity, each.code): each.message
            for each in reversed(resource.notices)
        }
        for key, message in of_this.items():
            first.setdefault(key, message)
            products[key] = products.get(key, 0) + 1
    gravity = list(Severity)
    return tuple(
        ReleaseNotice(
            os=os,
            release=release,
            severity=severity,
            code=code,
            message=first[os, release, severity, code],
            products=products[os, release, severity, code],
        )
        for os, release, severity, code in sorted(
            first, key=lambda key: (gravity.index(key[2]), *key)
        )
    )


def notice_words(notice: ReleaseNotice) -> str:
    """Put a notice into words, on one line: `ubuntu focal (4 products): what it is [code]`."""
    about = f"{notice.os} {notice.release}".strip() or "products without an os"
    products = f"{notice.products} product{'' if notice.products == 1 else 's'}"
    return " ".join(f"{about} ({products}): {notice.message} [{notice.code}]".split())


def _sound(notice: object) -> Finding:
    """Return it, if it is what a plugin should say, and can be sent. Raises whatever it likes."""
    if not isinstance(notice, Finding):
        raise TypeError(f"a {type(notice).__name__} is no Finding")
    return msgspec.json.decode(msgspec.json.encode(notice), type=Finding)


def _said(error: BaseException) -> str:
    """Write an error that a plugin raised: its own way to do so may be broken, too."""
    try:
        return ascii(error)[:_LONGEST]
    except Exception:  # noqa: BLE001
        return type(error).__name__
