"""TLS: the certificate that is served, and its renewal while connections run.

Certificates are renewed every few weeks, by programs that replace the files and know nothing of us.
So the files are looked at now and then; a new pair is tried on its own before it is used, and a bad
one changes nothing.
"""

from __future__ import annotations

import logging
import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mirror.errors import TlsInvalid

if TYPE_CHECKING:
    from mirror.server.options import ServerOptions

_State = tuple[tuple[int, int, int], ...]
"""What tells a file from the one that replaced it: inode, size and time, of each."""

_log = logging.getLogger(__name__)


class Tls:
    """The server's side of TLS. `context` stays the same when the certificate is renewed.

    `problem` is a sentence when the files hold a pair that can't be used, '' when all is well.
    """

    def __init__(self, certificate: str, key: str) -> None:
        """Load the pair; with no `key` it is in the file of the certificate. Raises TlsInvalid."""
        self._files = (Path(certificate), Path(key or certificate))
        self._state = _state(self._files)
        self.problem = ""
        self.context = self._current = make_context(*self._files)
        # A context is not changed once it is in use: it would go on serving its old certificate
        # to some if the new one has another kind of key, and OpenSSL does not lock it. Each
        # handshake is handed the newest context instead.
        self.context.sni_callback = self._hand_over

    def refresh(self) -> None:
        """Take a new pair into use if the files have changed. Blocks."""
        state = _state(self._files)
        if state == self._state:
            return
        self._state = state
        try:
            self._current = make_context(*self._files)
        except TlsInvalid as error:
            self.problem = str(error)
            _log.warning("%s; the certificate that was loaded before stays in use", error)
        else:
            self.problem = ""
            _log.info("the certificate %s was loaded anew", self._files[0])

    def _hand_over(
        self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext
    ) -> None:
        connection.context = self._current


def tls_of(options: ServerOptions) -> Tls | None:
    """Return the TLS that a server is to use; None for plain HTTP. Raises TlsInvalid."""
    if not options.tls_certificate:
        return None
    return Tls(options.tls_certificate, options.tls_key)


def make_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a context that serves this certificate over TLS 1.2 and 1.3. Raises TlsInvalid."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as error:
        raise TlsInvalid(
            f"{certificate} and {key} are no certificate and its key: {error.reason or error}"
        ) from error
    except OSError as error:
        raise TlsInvalid(f"can't read {certificate} or {key}: {error.strerror or error}") from error
    return context


def _no_passphrase() -> str:
    """Answer for the person whom OpenSSL would ask on the terminal."""
    return ""


def _state(files: tuple[Path, ...]) -> _State:
    found = []
    for file in files:
        status = None
        with suppress(OSError):
            status = file.stat()
        found.append((status.st_ino, status.st_size, status.st_mtime_ns) if status else (0, 0, 0))
    return tuple(found)
