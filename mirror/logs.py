"""What is logged, and how: one line for each record, plain or JSON, and never a secret.

`configure` is called once by each program: the command line, the supervisor, a worker, the runner
of the jobs. A record names the request and the job that it belongs to, and the code of the error
that it is about.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from mirror.access.tokens import redact as redact_tokens
from mirror.errors import MirrorError

if TYPE_CHECKING:
    from typing import TextIO

Format = Literal["plain", "json"]

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The request to the API that is being answered."""

job_id: ContextVar[int] = ContextVar("job_id", default=0)
"""The job that is being run."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_HIDDEN = "***"
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # user and password of a URL, also where the password has a '/' that it should not have
    (re.compile(r"(://)[^\s/?#]*@"), rf"\1{_HIDDEN}@"),
    (re.compile(r"(://)[^\s/@:]+:(?!\d+(?:[/\s?#'\"]|$))[^\s@]+@"), rf"\1{_HIDDEN}@"),
    (
        re.compile(
            r"(authorization\W{1,5}(?:b['\"])?)(?:(?:basic|bearer)\s+)?[^\s'\",;)]+", re.IGNORECASE
        ),
        rf"\1{_HIDDEN}",
    ),
    (
        re.compile(r"\b(bearer|basic) +(?=[^\s'\",;)]{8})[^\s'\",;)]+", re.IGNORECASE),
        rf"\1 {_HIDDEN}",
    ),
    (
        re.compile(
            r"((?:password|passwd|passphrase|secret|token|api[_-]?key)"
            r"(?:=|['\"]\s*[:=]\s*)['\"]?)[^\s'\"&,;)]+",
            re.IGNORECASE,
        ),
        rf"\1{_HIDDEN}",
    ),
)


def configure(
    level: str | int = "INFO", *, form: Format = "plain", stream: TextIO | None = None
) -> None:
    """Log to `stream` (standard error) from now on, and nowhere else."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else PlainFormatter())
    root = logging.getLogger()
    for former in list(root.handlers):
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level)
    # retries are shown as progress, and are in the job's log
    logging.getLogger("stamina").setLevel(logging.ERROR)


class PlainFormatter(logging.Formatter):
    """A line for people: time (UTC), level, process, logger, message, then what it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record; a traceback follows on lines of its own."""
        about = "".join(f" {name}={value}" for name, value in _context(record).items())
        line = (
            f"{_time(record)} {record.levelname} [{record.process}] {record.name}: "
            f"{_one_line(redact(record.getMessage()))}{about}"
        )
        trace = _traceback(self, record)
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(logging.Formatter):
    """An object on a line: time, level, logger, message, process; request, job, code, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record; a key without a value is left out."""
        import msgspec

        fields: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
            "process": record.process,
            **_context(record),
        }
        if trace := _traceback(self, record):
            fields["traceback"] = trace
        # a lone surrogate, from a file name say, has no place in UTF-8
        text = {k: _encodable(v) if isinstance(v, str) else v for k, v in fields.items()}
        return msgspec.json.encode(text).decode()


def redact(text: str) -> str:
    """Return `text` without tokens, passwords of URLs, and what stands behind Authorization."""
    text = redact_tokens(text)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def accept_request_id(given: str) -> str:
    """Return the id that a client gave its request, if it is a sane one; else a new one."""
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _context(record: logging.LogRecord) -> dict[str, object]:
    """Return what the record belongs to: request, job, code of an error."""
    found = {"request": request_id.get(), "job": job_id.get(), "code": _code(record)}
    return {name: value for name, value in found.items() if value}


def _code(record: logging.LogRecord) -> str:
    raised = record.exc_info[1] if record.exc_info else None
    given = record.args if isinstance(record.args, tuple) else ()
    errors = (each for each in (raised, *given) if isinstance(each, MirrorError))
    return next((error.code for error in errors), "")


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    return redact(formatter.formatException(record.exc_info))


def _one_line(text: str) -> str:
    """Return `text` with its control characters written out: it must not look like two records."""
    return _encodable(_CONTROL.sub(lambda found: ascii(found[0])[1:-1], text))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
