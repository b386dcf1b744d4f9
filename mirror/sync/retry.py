"""When a request is worth another try, and after how long."""

from __future__ import annotations

from mirror.errors import AddressRefused, FetchError, HttpStatus, TlsFailed, TooManyRedirects
from mirror.sync.transfer import NotResumed

_PASSING = frozenset({408, 425, 429})
_LONGEST_WAIT = 300.0


def worth_retrying(error: Exception) -> bool:
    """Say whether the same request may succeed a little later."""
    if isinstance(error, HttpStatus):
        return error.status >= 500 or error.status in _PASSING
    final = (AddressRefused, TlsFailed, TooManyRedirects, NotResumed)
    return isinstance(error, FetchError) and not isinstance(error, final)


def backoff(error: Exception) -> bool | float:
    """Answer stamina: no, yes, or how many seconds to wait, as the source asked."""
    if not worth_retrying(error):
        return False
    if isinstance(error, HttpStatus) and error.retry_after is not None:
        return min(error.retry_after, _LONGEST_WAIT)
    return True
