"""The server: MIR-7xx."""

from __future__ import annotations

from mirror.errors.base import MirrorError


class ServeError(MirrorError, code="MIR-700"):
    """The server could not start or go on."""

    remedy = "See the log for the cause."


class PortInUse(ServeError, code="MIR-701"):
    """Another program listens on that port."""

    remedy = "Choose another with --port, or stop the program that has it (`ss -ltnp`)."


class AddressUnusable(ServeError, code="MIR-702"):
    """The address can't be listened on."""

    remedy = "Give an address of this machine with --host; ports below 1024 need privileges."


class TlsInvalid(ServeError, code="MIR-703"):
    """The certificate or key for TLS can't be used."""

    remedy = (
        "Name a PEM file with the certificate and its chain in server.tls_certificate, and its "
        "key, without a passphrase and readable by the mirror's user, in server.tls_key."
    )


class JobInterrupted(ServeError, code="MIR-710"):
    """The process of a job was stopped or killed before it was done."""

    remedy = (
        "Nothing that came is lost: the next sync goes on from there. If nobody stopped it, look "
        "for its end in the system's log (was memory short?)."
    )


class JobNotStarted(ServeError, code="MIR-711"):
    """The process that was to run a job could not be started, or ended at once."""

    remedy = "See the server's log for the cause, then start the job again."


class NoSuchRoute(ServeError, code="MIR-720", http_status=404):
    """The API has nothing at that address."""

    remedy = "See /api/v1/docs for every route; check the spelling, and the last slash."


class MethodNotAllowed(ServeError, code="MIR-721", http_status=405):
    """The API has something at that address, which does not take that method."""

    remedy = "Use one of the methods in the Allow header of the answer."


class BodyTooLarge(ServeError, code="MIR-722", http_status=413):
    """The body of a request to the API is longer than the API takes."""

    remedy = "Send 1 MiB at most."


class ContentTypeUnsupported(ServeError, code="MIR-723", http_status=415):
    """The body of a request to the API is not said to be JSON."""

    remedy = "Send the body as UTF-8, not compressed, with Content-Type: application/json."


class MirrorUnavailable(ServeError, code="MIR-724", http_status=503):
    """The server can't open its data directory or its settings for the API."""

    remedy = "See the server's log for the cause; images are served all the same."


class TooManyStreams(ServeError, code="MIR-725", http_status=429):
    """As many clients as may follow the progress of jobs are doing so."""

    remedy = "Close one, or ask for the job itself (/api/v1/jobs/ID) now and then."
