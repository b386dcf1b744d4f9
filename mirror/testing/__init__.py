"""The kit that plugin authors, and this project, test with."""

from __future__ import annotations
