"""The network and the boot source: MIR-4xx."""

from __future__ import annotations

from mirror.errors.base import MirrorError


class FetchError(MirrorError, code="MIR-400", http_status=502):
    """A file could not be fetched."""

    remedy = "Try again; what was fetched so far is kept and resumed."


class Unreachable(FetchError, code="MIR-401"):
    """No connection to the boot source."""

    remedy = "Check the URL, DNS, firewall and proxy of the source; `curl -v URL` shows the cause."


class HttpStatus(FetchError, code="MIR-402"):
    """The boot source answered with an error.

    `retry_after` is how many seconds the source asked us to wait, if it did.
    """

    remedy = "Check the URL and credentials of the source; a 5xx usually passes by itself."

    def __init__(
        self, what: str, *, status: int = 0, retry_after: float | None = None, remedy: str = ""
    ) -> None:
        super().__init__(what, remedy=remedy)
        self.status = status
        self.retry_after = retry_after


class Stalled(FetchError, code="MIR-403"):
    """No bytes, or too few, came for too long."""

    remedy = "Try again; what was fetched so far is kept and resumed."


class Truncated(FetchError, code="MIR-404"):
    """The connection closed before the whole file had come."""

    remedy = "Try again; what was fetched so far is kept and resumed."


class TooManyRedirects(FetchError, code="MIR-405"):
    """The boot source redirects in circles."""

    remedy = "Use the final address as the source's URL."


class TlsFailed(FetchError, code="MIR-406"):
    """The TLS certificate of the source or proxy is not trusted."""

    remedy = "Give the CA certificate with --ca-file, or check the name in the URL."


class Cancelled(FetchError, code="MIR-407", exit_status=130):
    """It was stopped by a person."""

    remedy = "Run it again: it resumes where it stopped."


class AddressRefused(FetchError, code="MIR-410"):
    """A redirect of the boot source leads into this machine or its own network."""

    remedy = (
        "Ask the publisher about it. If the files really are there, use that address as the "
        "source's URL: `mirror source set NAME --url URL`."
    )


class ProxyUnreachable(Unreachable, code="MIR-411"):
    """No connection to the proxy of the boot source."""

    remedy = (
        "Check the proxy, or change it: `mirror source set NAME --proxy URL`; --no-proxy HOST for "
        "a source that is reached without it."
    )
