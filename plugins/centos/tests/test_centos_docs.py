"""docs/centos.md says of every code how bad it is, as the code does."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import mirror_centos
import pytest
from centos_samples import bad_cases, changed, doubtful_cases, good
from mirror_centos.images import CentosImages
from mirror_centos.releases import LAST_DAYS
from mirror_centos.settings import CentosSettings

from mirror.api import Product, Version

DOCS = Path(__file__).parents[3] / "docs/centos.md"
EIGHT = {"os": "centos", "arch": "amd64", "version": "8"}


@pytest.fixture
def said(tmp_path) -> set[tuple[str, str]]:
    """Return (code, severity) of everything that the samples give rise to."""
    images = CentosImages(CentosSettings())
    product = Product("p", "c", {**EIGHT, "release": "8"}, ())
    unnamed = Product("p", "c", {"os": "centos", "arch": "amd64", "release": "x"}, ())
    findings = []
    versions = [(product, case.files) for case in (*bad_cases(), *doubtful_cases())]
    for of, files in [*versions, (unnamed, {"root-tgz": changed(lambda those: None)})]:
        paths = {}
        for name, data in {**good(), **files}.items():
            paths[name] = tmp_path / name
            paths[name].write_bytes(data)
        findings += images.validate(of, Version("1", ()), paths)
    for today in (date(2021, 12, 1), date(2026, 11, 24)):
        findings += images.notices(product, today)
    return {(each.code, each.severity.value) for each in findings}


def test_the_table_and_the_checks_agree(said):
    rows = re.findall(r"^\| `(centos-[a-z-]+)` \| (\w+) \|", DOCS.read_text(), re.MULTILINE)
    assert set(rows) == said
    assert len(rows) == len(said)


def test_no_code_is_without_a_sample(said):
    sources = Path(mirror_centos.__file__).parent.glob("*.py")
    written = set(re.findall(r'"(centos-[a-z-]+)"', "".join(each.read_text() for each in sources)))
    assert written == {code for code, _ in said}


def test_the_dates_are_those_of_the_code():
    rows = dict(
        re.findall(r"^\| (CentOS [\w ]+?) \|.*\| ([\d-]+) \|$", DOCS.read_text(), re.MULTILINE)
    )
    known = {
        f"CentOS {major}{' Stream' if stream else ''}": str(day)
        for (major, stream), day in LAST_DAYS.items()
        if major > 5
    }
    assert rows == known
