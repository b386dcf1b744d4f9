"""A mirror that takes images in."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import MirrorUnderTest
from image_helpers import Images


@pytest.fixture
def images(mut: MirrorUnderTest, tmp_path: Path) -> Images:
    return Images(mut, tmp_path)
