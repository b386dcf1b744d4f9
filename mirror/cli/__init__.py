"""The command line: nouns and verbs, a file each; what is heavy is imported late."""

from __future__ import annotations

from mirror.cli.app import main

__all__ = ["main"]
