"""Lists come in pages: a cursor names the last item of the page before."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mirror.catalog.available import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mirror.server.api.inputs import Paged

__all__ = ["Page", "page", "window"]

T = TypeVar("T")


def page(items: Iterable[T], key: Callable[[T], object], query: Paged) -> Page[T]:
    """Return the part of a short list that `query` asks for; `key` names an item.

    A cursor whose item has gone meanwhile begins anew rather than leaving out what nobody has seen.
    """
    everything = list(items)
    names = [str(key(each)) for each in everything]
    start = names.index(query.after) + 1 if query.after in names else 0
    return window(everything[start : start + query.limit + 1], key, query.limit)


def window(items: list[T], key: Callable[[T], object], limit: int) -> Page[T]:
    """Return a page of items of which one more than `limit` were looked up, if there are."""
    more = len(items) > limit
    shown = tuple(items[:limit])
    return Page(shown, str(key(shown[-1])) if more else "")
