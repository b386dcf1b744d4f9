"""The suite that any distribution should pass, on this one."""

from __future__ import annotations

from mirror.testing import DistributionConformance, Sample
from mirror.testing.sample_products import centos_products


class TestCentos(DistributionConformance):
    sample = Sample(
        plugin="centos",
        distribution="centos",
        products=centos_products(),
        text_items=("manifest",),
    )
