"""When a certificate expires: read from its file, for `ssl` tells it of a peer's only."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

from mirror.errors import TlsInvalid

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def expiry(file: str | Path) -> datetime:
    """Return when the first certificate of a PEM file expires. Raises `TlsInvalid`."""
    try:
        _, begin, rest = Path(file).read_text("latin-1").partition(_BEGIN)
        body, _, _ = rest.partition(_END)
        return expiry_of(ssl.PEM_cert_to_DER_cert(begin + body + _END))
    except OSError as error:
        raise TlsInvalid(f"can't read {file}: {error.strerror or error}") from error
    except (ValueError, IndexError) as error:
        raise TlsInvalid(f"{file} holds no certificate that can be read") from error


def expiry_of(der: bytes) -> datetime:
    """Return when a certificate in DER expires. Raises ValueError, IndexError.

    Walks to the validity: Certificate, TBSCertificate, then its fifth field (RFC 5280, 4.1).
    """
    _, certificate, _ = _element(der)
    _, fields, _ = _element(certificate)
    tag, _, after = _element(fields)
    if tag == _VERSION:
        fields = after
    for _ in ("serial number", "signature", "issuer"):
        _, _, fields = _element(fields)
    tag, validity, _ = _element(fields)
    if tag != _SEQUENCE:
        raise ValueError("the validity is not where it should be")
    _, _, rest = _element(validity)
    tag, text, _ = _element(rest)
    return _time(tag, text.decode("ascii"))


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Take the first element of DER apart: its tag, its content, what follows it."""
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if start + length > len(data):
        raise ValueError("cut short")
    return tag, data[start : start + length], data[start + length :]


def _time(tag: int, text: str) -> datetime:
    if tag == _UTC_TIME:  # two digits of the year: up to 49 they mean 20.., from 50 on 19..
        text = ("19" if text >= "5" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
