from __future__ import annotations

import pytest
from api_harness import mirror_with_images, served_api


@pytest.fixture(scope="module")
def images(tmp_path_factory, signing_key):
    """Return a mirror with images, and the sample they come from; shared by a module's tests."""
    with mirror_with_images(tmp_path_factory.mktemp("api"), signing_key) as made:
        yield made


@pytest.fixture(scope="module")
def api(images):
    """Return the served API of that mirror."""
    with served_api(images[0]) as api:
        yield api
