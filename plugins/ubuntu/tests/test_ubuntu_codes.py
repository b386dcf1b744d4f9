"""The table of findings: the one in docs/ubuntu.md is that of the code, and every one is tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mirror_ubuntu.bootloaders import Bootloaders
from mirror_ubuntu.codes import CODES, finding, shown
from mirror_ubuntu.images import UbuntuImages

from mirror.api import Severity

HERE = Path(__file__).parent
ROW = re.compile(r"\| `(?P<code>[a-z0-9-]+)` \| (?P<severity>\w+) \| (?P<meaning>.+) \|")


def test_the_table_in_the_documentation():
    page = (HERE.parents[2] / "docs/ubuntu.md").read_text()
    table = page.split("| code | severity | meaning |\n| --- | --- | --- |\n")[1].split("\n\n")[0]
    rows = [ROW.fullmatch(line) for line in table.splitlines()]
    documented = {row["code"]: (row["severity"], row["meaning"]) for row in rows}
    assert documented == {code: (each.severity, each.meaning) for code, each in CODES.items()}


def test_a_code_begins_with_its_distribution():
    ids = (UbuntuImages.id, Bootloaders.id)
    assert all(code.startswith(tuple(f"{each}-" for each in ids)) for code in CODES)


def test_every_code_is_expected_by_a_test():
    tests = "".join(file.read_text() for file in HERE.glob("test_*.py") if "codes" not in file.name)
    untested = [code for code in CODES if code not in tests and code.partition("-")[2] not in tests]
    assert untested == []


def test_a_finding_has_the_severity_of_its_code():
    found = finding("ubuntu-squashfs", "squashfs", "the squashfs is cut")
    assert found.severity is Severity.ERROR
    with pytest.raises(KeyError):
        finding("ubuntu-nothing", "", "")


def test_text_of_a_file_is_shown_in_one_line():
    assert shown("6.8.0") == "'6.8.0'"
    assert shown("a\n\x1b") == r"'a\n\x1b'"
    assert len(shown("x" * 10_000)) < 70
