"""What is wrong with a file."""

from __future__ import annotations


class FormatError(ValueError):
    """A file is not what it should be.

    The text is a clause that follows the name of the file: `is a web page`, `is cut: 10 of 96`.
    """
