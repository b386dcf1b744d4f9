from __future__ import annotations

import pytest

from mirror.access.licences import (
    GRANTABLE,
    checked_licences,
    combined,
    may_have,
    needs_all,
    needs_any,
)
from mirror.errors import NameInvalid
from mirror.model import Licence, Product

SUB, PRO = "subscription", "proprietary"


@pytest.mark.parametrize(
    ("needed", "licences", "may"),
    [
        ("", (), True),
        (PRO, (), False),
        (PRO, (SUB,), False),
        (PRO, (PRO,), True),
        (f"{PRO}+{SUB}", (PRO,), False),
        (f"{PRO}+{SUB}", (SUB, PRO), True),
        (f"{PRO}|{SUB}", (SUB,), True),
        (f"{PRO}|{PRO}+{SUB}", (SUB,), False),
        # what can't be read is for nobody, whatever one has
        ("free", ("free", SUB, PRO), False),
        ("unknown", ("unknown", SUB, PRO), False),
        ("+", ("", SUB, PRO), False),
        (f"{PRO}+", (SUB, PRO), False),
        (" ", (SUB, PRO), False),
    ],
)
def test_who_may_have_it(needed, licences, may):
    assert may_have(needed, licences) is may


def test_what_one_needs_for_a_file_that_several_have():
    assert needs_any([PRO]) == PRO
    assert needs_any([PRO, SUB, PRO]) == f"{PRO}|{SUB}"
    assert needs_any([PRO, ""]) == ""
    assert needs_any([f"{PRO}|{SUB}", PRO]) == f"{PRO}|{SUB}"
    assert needs_all([SUB, PRO, SUB]) == f"{PRO}+{SUB}"
    assert needs_all([]) == ""


def test_the_combinations():
    assert combined([]) == []
    assert combined([PRO, PRO]) == [{PRO}]
    assert combined([SUB, PRO]) == [{PRO}, {SUB}, {PRO, SUB}]


def test_only_what_is_not_free_can_be_given():
    assert GRANTABLE == (PRO, SUB)
    assert checked_licences([SUB, PRO, SUB]) == (PRO, SUB)
    for word in ("free", "", "Proprietary", "all"):
        with pytest.raises(NameInvalid, match="not a licence") as refused:
            checked_licences([PRO, word])
        assert "proprietary, subscription" in refused.value.remedy


@pytest.mark.parametrize("said", ["GPL", "", None, 1, ["free"], {"a": "b"}, "Free"])
def test_a_product_whose_licence_nobody_knows_is_proprietary(said):
    assert Product("p", "c", {"licence": said}, ()).licence is Licence.PROPRIETARY


def test_a_product_that_says_nothing_is_free():
    assert Product("p", "c", {}, ()).licence is Licence.FREE
    assert Product("p", "c", {"licence": "free"}, ()).licence is Licence.FREE
