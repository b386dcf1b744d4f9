from __future__ import annotations

import pytest


@pytest.fixture
def ready(mut, sample_upstream, serve):
    """A mirror with one source and a selection, and what serves the source."""
    served = serve(sample_upstream.root)
    mut.add_source(sample_upstream, served.url)
    mut.select("os=ubuntu", "arch=amd64", "release=noble")
    return served
