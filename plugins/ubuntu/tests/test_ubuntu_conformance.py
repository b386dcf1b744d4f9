"""The suite that any distribution should pass, on this plugin's two."""

from __future__ import annotations

from mirror.testing import DistributionConformance, Sample
from mirror.testing.sample_products import bootloader_products, ubuntu_products


class TestUbuntu(DistributionConformance):
    sample = Sample(
        plugin="ubuntu",
        distribution="ubuntu",
        products=ubuntu_products(),
        text_items=("manifest",),
    )


class TestBootloaders(DistributionConformance):
    sample = Sample(plugin="ubuntu", distribution="bootloaders", products=bootloader_products())
