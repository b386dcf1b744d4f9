"""Content coding by Accept-Encoding (RFC 9110, section 12.5.3), as a pure function."""

from __future__ import annotations

from functools import lru_cache

_PREFERENCE = ("zstd", "gzip")


@lru_cache(maxsize=512)
def choose(header: str, available: frozenset[str]) -> str:
    """Return the coding to send, of those `available`: the client's best, then ours; '' for none.

    Nothing is compressed for a client that does not ask, and identity is never refused: an answer
    that the client did not rank beats none.
    """
    weights = dict(_weight(part) for part in header.lower().split(","))
    weights.setdefault("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    best, best_weight = "", weights.get("identity", 0.0)
    for coding in _PREFERENCE:
        weight = weights.get(coding, weights.get("*", 0.0))
        if coding in available and weight > 0 and weight >= best_weight:
            if weight == best_weight and best:
                continue
            best, best_weight = coding, weight
    return best


def _weight(part: str) -> tuple[str, float]:
    coding, _, parameters = part.partition(";")
    name, _, value = parameters.partition("=")
    if name.strip() != "q":
        return coding.strip(), 1.0
    try:
        return coding.strip(), float(value)
    except ValueError:
        return coding.strip(), 0.0
