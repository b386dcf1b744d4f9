"""The suite that any distribution should pass, on this one."""

from __future__ import annotations

from functools import partial

from centos_samples import bad_cases, good

from mirror.testing import BadSample, DistributionConformance, Sample
from mirror.testing.sample_products import (
    CENTOS,
    SampleFile,
    SampleProduct,
    centos_products,
    day,
)


def stream_9() -> SampleProduct:
    """Return a product of Stream, for another architecture."""
    about = {
        "arch": "arm64",
        "label": "stable",
        "os": "centos",
        "release": "centos9-stream",
        "release_title": "CentOS 9 Stream",
        "subarch": "generic",
        "subarches": "generic",
        "version": "9-stream",
    }
    name = "com.ubuntu.maas.stable:centos-bases:9-stream:arm64"
    return SampleProduct(name, CENTOS, about, partial(day, suffix="_01"), stream_files)


def stream_files(version: str, size: int) -> list[SampleFile]:
    base = f"centos/centos9-stream/arm64/{version}"
    return [
        SampleFile(name, f"{base}/{name}", data) for name, data in good("9-stream", "arm64").items()
    ]


class TestCentos(DistributionConformance):
    sample = Sample(
        plugin="centos",
        distribution="centos",
        products=[*centos_products(), stream_9()],
        bad=[BadSample(case.name, case.files, case.code, ":8:") for case in bad_cases()],
        text_items=("manifest",),
        settings={"warn_days": 30},
    )
