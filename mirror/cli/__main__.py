"""`python -m mirror.cli` is `mirror`."""

from __future__ import annotations

from mirror.cli.app import main

main()
