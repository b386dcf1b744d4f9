"""Plugins at work on files, in processes of their own."""

from __future__ import annotations
