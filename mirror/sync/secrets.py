"""Passwords come from files of one line: none is in the catalogue, in a URL, or in a log."""

from __future__ import annotations

import os
import stat

from mirror.errors import SourceInvalid

_LONGEST = 4096
"""Bytes. Whoever may set a source's password file must not be able to send out any other file."""


def read_secret(source: str, what: str, file: str) -> str:
    """Return the one line of a file, '' where no file is named. Blocks.

    Raises `SourceInvalid` naming the file, `what` it is and the source's name; never its content.
    """
    if not file:
        return ""
    named = f"source {source}: the {what} {file}"
    try:
        # what is no ordinary file (a pipe, a terminal) could keep us waiting for ever
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SourceInvalid(f"{named} is not a file")
            data = stream.read(_LONGEST + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", "") or "its name can't be used"
        raise SourceInvalid(f"{named} can't be read: {why}") from None
    try:
        text = data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        text = "\n"
    if len(data) > _LONGEST or not text.isprintable():
        raise SourceInvalid(f"{named} is not one line of text")
    return text
