"""What is published, changed without a sync: pins, publishing anew, differences, retention."""

from __future__ import annotations
