"""The kit that plugin authors, and this project, test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirror.testing.conformance import (
        BadSample,
        BuildSample,
        DistributionConformance,
        Sample,
    )

__all__ = ["BadSample", "BuildSample", "DistributionConformance", "Sample"]


def __getattr__(name: str) -> object:
    """Import the suite when it is asked for: every run of pytest loads this package."""
    if name in __all__:
        from mirror.testing import conformance

        return getattr(conformance, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
