"""The suite that any distribution should pass, and that the bundled ones do.

    from mirror.testing import DistributionConformance, Sample

    class TestImages(DistributionConformance):
        sample = Sample(plugin="debian", distribution="debian", products=products())

The plugin must be installed (`pip install -e .`): it is loaded by its entry point, alone, and works
on files in a process of its own, as in a mirror. Each test says in its docstring what a plugin that
fails it did wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.testing.conformance.building import BuildingChecks
from mirror.testing.conformance.choosing import ChoosingChecks
from mirror.testing.conformance.claiming import ClaimingChecks
from mirror.testing.conformance.loading import LoadingChecks
from mirror.testing.conformance.making import MakingChecks
from mirror.testing.conformance.placing import PlacingChecks
from mirror.testing.conformance.sample import BadSample, BuildSample, Sample
from mirror.testing.conformance.syncing import SyncingChecks
from mirror.testing.conformance.validating import ValidatingChecks

if TYPE_CHECKING:
    from typing import ClassVar


class DistributionConformance(
    SyncingChecks,
    PlacingChecks,
    BuildingChecks,
    MakingChecks,
    ValidatingChecks,
    ChoosingChecks,
    ClaimingChecks,
    LoadingChecks,
):  # pytest runs the tests of the last one first
    """Subclass it as `Test...`, with the one attribute `sample`."""

    sample: ClassVar[Sample]


__all__ = ["BadSample", "BuildSample", "DistributionConformance", "Sample"]
