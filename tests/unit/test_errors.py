from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from mirror.errors import MirrorError

DOCS = Path(__file__).parents[2] / "docs"
GENERATOR = runpy.run_path(str(DOCS / "generate_errors.py"))
CLASSES = list(GENERATOR["every_class"]())


def test_codes_are_unique():
    codes = [each.code for each in CLASSES]
    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_each_says_what_it_means_and_what_to_do(kind):
    assert kind.__doc__
    assert kind.remedy.endswith((".", ".gpg)"))
    assert kind.exit_status in {1, 2, 3, 4, 130}
    assert 400 <= kind.http_status < 600
    error = kind("what happened")
    assert error.as_dict() == {
        "code": kind.code,
        "what": "what happened",
        "remedy": kind.remedy,
    }


def test_a_remedy_of_its_own():
    assert MirrorError("x", remedy="Do that.").remedy == "Do that."
    assert MirrorError("x").remedy == MirrorError.remedy


def test_the_page_of_errors_is_up_to_date():
    page = (DOCS / "errors.md").read_text()
    assert page == GENERATOR["render"](), "run `make docs`"
