"""The operators' page has every code that a check can answer with, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from finding_codes import PREFIX, codes, computed

import mirror.images.names
import mirror.intake.look

PAGE = Path(__file__).parents[3] / "docs" / "custom-images.md"
_ROW = re.compile(r"^\| `([a-z0-9-]+)` \| ((?:(?:error|warning|note)(?:, )?)+) \| ", re.MULTILINE)
_OF_THE_MIRROR = re.compile(r"_(?:error|warning|note)\(\s*\"([a-z-]+)\"")


def rows():
    text = PAGE.read_text()
    found = _ROW.findall(text)
    assert len(found) == len(dict(found)), "a code has two rows"
    return {code: set(grave.split(", ")) for code, grave in found}


def of_the_plugin():
    return {each: grave for each, grave in rows().items() if not each.startswith("image-")}


def test_every_code_of_the_plugin_is_in_the_page_and_none_else():
    assert {PREFIX + each for each in of_the_plugin()} == codes().keys()


def test_the_page_says_of_each_how_grave_it_is():
    """Where the source computes it, the page says what that may be."""
    said = {PREFIX + code: grave for code, grave in of_the_plugin().items()}
    wrong = {code: grave for code, grave in codes().items() if not grave <= said[code]}
    assert wrong == {}


def test_every_rule_of_names_and_types_is_in_the_page_and_none_else():
    sources = [
        Path(each.__file__).read_text() for each in (mirror.images.names, mirror.intake.look)
    ]
    found = {f"image-{code}" for text in sources for code in _OF_THE_MIRROR.findall(text)}
    said = {each for each in rows() if each.startswith("image-")}
    assert said == found | {mirror.intake.look.DAMAGED}


def test_a_code_is_written_out_but_where_it_is_known_not_to_be():
    assert computed() == [
        "disk_image.py:_placed",  # one of a table of partitions, with its place
        "harms.py:findings",
        "rules.py:findings",
        "windows.py:_look_at",
    ]
