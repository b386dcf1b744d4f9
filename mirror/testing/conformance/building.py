"""Checks of what the distribution builds of a file that an operator has.

A distribution that builds nothing passes them: it refuses whatever it is given, in a sentence.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror.api import BuildOrder
from mirror.errors import ImageNotBuildable, MirrorError
from mirror.model import Item, Version
from mirror.testing import spoil
from mirror.testing.conformance.findings import errors, fault_of
from mirror.testing.conformance.specimen import Wrong, must

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mirror.api import Finding
    from mirror.model import Product
    from mirror.testing.conformance.sample import BuildSample
    from mirror.testing.conformance.specimen import Specimen

_VERSION = "20250615"
_SIZE = 4096


@dataclass(frozen=True)
class _Outcome:
    """What became of a file: an image, or why there is none."""

    refused: str = ""
    remedy: str = ""
    ftype: str = ""
    sha256: str = ""
    findings: tuple[Finding, ...] = ()


class BuildingChecks:
    """What it builds."""

    def test_builds_the_sample(self, specimen: Specimen) -> None:
        """What `build` makes of the sample must be of the type that it says, and valid."""
        builds = specimen.sample.builds
        must(
            builds or not specimen.overrides("build"),
            "build is overridden, and the sample has no `builds`: show what it is for",
        )
        for each in builds:
            product = _product(specimen, each)
            outcome = _built(specimen, product, _file(specimen, each.data), _order(each))
            where = f"{each.name} ({product.name})"
            must(not outcome.refused, f"{where}: build refuses it: {outcome.refused}")
            must(
                outcome.ftype == each.makes,
                f"{where}: build makes {outcome.ftype!r} of it, not {each.makes!r}",
            )
            _check_valid(specimen, where, product, outcome)

    def test_builds_twice_the_same(self, specimen: Specimen) -> None:
        """`build` must make the same bytes of the same file each time, or refuse it each time."""
        for why, product, file, order in _asked(specimen):
            first = _built(specimen, product, file, order)
            then = _built(specimen, product, file, order)
            must(first == then, f"of {why}, build makes {first}, and then {then}")

    def test_build_survives_bad_files(self, specimen: Specimen) -> None:
        """`build` may raise `BuildRefused` and `FormatError` alone, and must say what to do."""
        for why, product, file, order in _asked(specimen):
            outcome = _built(specimen, product, file, order)
            must(
                not outcome.refused or (outcome.refused.isprintable() and outcome.remedy),
                f"of {why}, build says {outcome.refused!r}, and to do: {outcome.remedy!r}",
            )

    def test_build_refuses_unknown_options(self, specimen: Specimen) -> None:
        """`build` must refuse an option that it does not know: it is a mistake of the operator."""
        for why, product, file, order in _asked(specimen):
            options = {**order.options, "no_such_option": "1"}
            asked = BuildOrder(ftype=order.ftype, options=options)
            outcome = _built(specimen, product, file, asked)
            must(outcome.refused, f"of {why}, build takes no_such_option=1 without a word")


def _asked(specimen: Specimen) -> Iterator[tuple[str, Product, Path, BuildOrder]]:
    """Yield files to build from, good and spoilt, with what is odd about each."""
    [(first, _), *_] = specimen.newest()
    for how, spoilt in spoil.GENERIC.items():
        yield how, first, _file(specimen, spoilt(spoil.scrambled(_SIZE))), BuildOrder()
    for each in specimen.sample.builds:
        product, order = _product(specimen, each), _order(each)
        yield each.name, product, _file(specimen, each.data), order
        yield f"half of {each.name}", product, _file(specimen, spoil.cut(each.data)), order


def _built(specimen: Specimen, product: Product, file: Path, order: BuildOrder) -> _Outcome:
    try:
        built, folder = specimen.build(product, file, order)
    except ImageNotBuildable as error:
        return _Outcome(refused=error.what, remedy=error.remedy)
    except MirrorError as error:
        raise Wrong(f"build of {product.name}: no refusal, but {error}") from error
    try:
        must(
            built.file.is_file() and not built.file.is_symlink(),
            f"{product.name}: what it built is no file below scratch: {built.file}",
        )
        for each in built.findings:
            fault = fault_of(each, specimen.distribution.id, [built.ftype])
            must(not fault, f"a finding on what it built of {product.name}: {fault}: {each}")
        with built.file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        built.file.replace(specimen.blobs / digest)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _Outcome(ftype=built.ftype, sha256=digest, findings=built.findings)


def _check_valid(specimen: Specimen, where: str, product: Product, outcome: _Outcome) -> None:
    """Let the distribution validate what it has built itself."""
    ftype, file = outcome.ftype, specimen.blobs / outcome.sha256
    item = Item(ftype, ftype, f"built/{ftype}", outcome.sha256, file.stat().st_size)
    found = errors(specimen.findings(product, Version(_VERSION, (item,)), {ftype: file}))
    must(not found, f"{where}: validate finds an error in what build has made: {found[:1]}")


def _file(specimen: Specimen, data: bytes) -> Path:
    return specimen.with_bad({}, {"": data})[""]


def _product(specimen: Specimen, sample: BuildSample) -> Product:
    found = [each for each, _ in specimen.newest() if sample.product in each.name]
    must(found, f"sample {sample.name!r} to build: there is no product {sample.product!r}")
    return found[0]


def _order(sample: BuildSample) -> BuildOrder:
    return BuildOrder(ftype=sample.ftype, options=dict(sample.options))
