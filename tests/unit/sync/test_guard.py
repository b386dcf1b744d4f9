"""How much a publish may take away."""

from __future__ import annotations

import pytest
from plan_builders import product

from mirror.sync.guard import FEW, loss, too_much
from mirror.sync.plan import Planned


def planned(*products) -> list[Planned]:
    return [Planned(each, "main") for each in products]


def published(*products) -> dict[str, Planned]:
    return {each.product.name: each for each in planned(*products)}


def many(count: int, *versions: str):
    return [product(f"p{number:03}", *(versions or ("1",))) for number in range(count)]


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        (100, 100, False),
        (100, 80, False),
        (100, 79, True),
        (FEW + 1, 1, False),  # a few may always go
        (FEW + 2, 1, True),
        (10, 0, True),
    ],
)
def test_products_that_go(before, after, refused):
    lost = loss(planned(*many(after)), published(*many(before)))
    assert (len(lost.products), lost.products_before) == (before - after, before)
    assert (too_much(lost, 0.2) is not None) is refused
    assert too_much(lost, 1.0) is None


def test_a_version_that_a_newer_one_pushes_out_is_no_loss():
    lost = loss(planned(*many(50, "2", "3")), published(*many(50, "1", "2")))
    assert (lost.versions, too_much(lost, 0.0)) == (0, None)


def test_versions_that_go_with_nothing_in_their_place():
    lost = loss(planned(*many(50, "2")), published(*many(50, "1", "2")))
    error = too_much(lost, 0.2)
    assert error is not None
    assert "would lose 50 of 100 versions; at most 20% may go at once" in error.what
    assert "--accept-drop" in error.remedy
    assert too_much(lost, 0.5) is None


def test_a_pin_takes_versions_away_on_purpose():
    after, before = planned(*many(50, "1")), published(*many(50, "1", "2"))
    lost = loss(after, before, pinned={each.product.name for each in after})
    assert too_much(lost, 0.2) is None


def test_an_image_that_comes_from_another_source_under_another_name_is_no_loss():
    before = [product(f"old{n}", "1", release=f"r{n}", subarch="ga") for n in range(9)]
    after = [product(f"new{n}", "1", release=f"r{n}", subarch="ga") for n in range(9)]
    assert loss(planned(*after), published(*before)).products == ()
    other_kernel = [product(f"new{n}", "1", release=f"r{n}", subarch="hwe") for n in range(9)]
    assert len(loss(planned(*other_kernel), published(*before)).products) == 9


def test_the_error_names_some_of_what_would_go():
    error = too_much(loss(planned(), published(*many(9))), 0.2)
    assert error is not None
    assert "9 of 9 products (p000, p001, p002, ...)" in error.what
