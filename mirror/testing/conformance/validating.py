"""Checks of how the distribution tells good files from bad ones.

The plugin works in a process of its own, as it does in a sync: without the network, with nothing to
write to but its scratch directory, with limits. What it tries beyond that fails these checks.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mirror.model import Severity
from mirror.testing import spoil
from mirror.testing.conformance.findings import errors, fault_of
from mirror.testing.conformance.specimen import must, names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from mirror.model import Finding, Product, Version
    from mirror.testing.conformance.sample import BadSample
    from mirror.testing.conformance.specimen import Specimen


class ValidatingChecks:
    """What it finds in files."""

    def test_accepts_the_sample(self, specimen: Specimen) -> None:
        """`validate` must find no error and no warning in the good sample."""
        for product, version in specimen.newest():
            found = specimen.findings(product, version, specimen.files(product, version))
            loud = [each for each in found if each.severity is not Severity.NOTE]
            said = "; ".join(f"{each.code}: {each.message}" for each in loud)
            must(not loud, f"{product.name} {version.name} is good, and yet: {said}")

    def test_refuses_web_pages(self, specimen: Specimen) -> None:
        """`validate` must refuse a login page in place of any file: a captive portal sends it."""
        _check_refused(specimen, "a web page")

    def test_refuses_zeros(self, specimen: Specimen) -> None:
        """`validate` must refuse zeros in place of any file."""
        _check_refused(specimen, "zeros")

    def test_refuses_empty_files(self, specimen: Specimen) -> None:
        """`validate` must refuse an empty file in place of any file."""
        _check_refused(specimen, "nothing")

    def test_refuses_files_that_were_cut(self, specimen: Specimen) -> None:
        """`validate` must refuse the first half of any file, of which it can be seen."""
        _check_refused(specimen, "its first half", but=specimen.sample.text_items)

    def test_refuses_noise(self, specimen: Specimen) -> None:
        """`validate` must refuse noise in place of any file, text in no known encoding included."""
        _check_refused(specimen, "noise")

    def test_refuses_files_that_were_swapped(self, specimen: Specimen) -> None:
        """`validate` must refuse another file of the same version in place of any file."""
        accepted = []
        for product, version in specimen.newest():
            files = specimen.files(product, version)
            for name in files:
                for other in files:
                    if other != name:
                        swapped = {**files, name: files[other]}
                        if not errors(specimen.findings(product, version, swapped)):
                            accepted.append(f"the {other} as the {name} of {product.name}")
        must(not accepted, f"it accepts {names(accepted)}")

    def test_refuses_each_bad_version(self, specimen: Specimen) -> None:
        """`validate` must refuse each of the sample's bad versions, with the code that it names."""
        for bad in specimen.sample.bad:
            product, version = _spoilt_by(specimen, bad)
            files = specimen.with_bad(specimen.files(product, version), bad.files)
            found = errors(specimen.findings(product, version, files))
            codes = [each.code for each in found]
            must(
                bad.code in codes,
                f"{bad.name} ({product.name}): no error {bad.code!r}, but {codes or 'none at all'}",
            )

    def test_findings_are_well_formed(self, specimen: Specimen) -> None:
        """A finding needs a code `ID-what`, an item for its `where`, and one line for a person.

        The line must not name the file: it is called by its digest, or anything.
        """
        for product, version, files in (*_various(specimen), *_bad(specimen)):
            for each in specimen.findings(product, version, files):
                fault = fault_of(each, specimen.distribution.id, files)
                must(not fault, f"a finding on {product.name}: {fault}: {each}")
                path = next((p for p in files.values() if _betrays(each, p)), None)
                must(path is None, f"a finding on {product.name} names the file {path}: {each}")

    def test_validates_twice_the_same(self, specimen: Specimen) -> None:
        """`validate` must find the same each time: what it finds is kept, and not asked again."""
        for product, version, files in _various(specimen):
            first = specimen.findings(product, version, files)
            then = specimen.findings(product, version, files)
            must(first == then, f"{product.name}: it finds {first}, and then {then}")

    def test_leaves_files_alone(self, specimen: Specimen) -> None:
        """`validate` and `derive` must not write to the files: they are published as they are."""
        for product, version in specimen.newest():
            files = specimen.files(product, version)
            before = {name: _digest(file) for name, file in files.items()}
            specimen.findings(product, version, files)
            changed = [name for name, file in files.items() if _digest(file) != before[name]]
            must(not changed, f"{product.name}: validating has changed {', '.join(changed)}")

    def test_survives_missing_files(self, specimen: Specimen) -> None:
        """`validate` must not raise where `files` lacks one, or all."""
        for product, version in specimen.newest():
            files = specimen.files(product, version)
            specimen.findings(product, version, {})
            for missing in files:
                rest = {name: file for name, file in files.items() if name != missing}
                specimen.findings(product, version, rest)


def _check_refused(specimen: Specimen, what: str, but: Collection[str] = ()) -> None:
    """Require an error on each item that is replaced, one at a time, by something spoilt."""
    accepted, unnamed = [], []
    for product, version, name, files in _spoilt(specimen, spoil.GENERIC[what], but):
        found = errors(specimen.findings(product, version, files))
        if not found:
            accepted.append(f"the {name} of {product.name}")
        elif not any(each.where.partition(":")[0] == name for each in found):
            unnamed.append(f"the {name} of {product.name}: {found[0]}")
    must(not accepted, f"it accepts {what} in place of {names(accepted)}")
    must(not unnamed, f"{what}: no finding says where, as an error on {names(unnamed, 2)}")


def _spoilt(
    specimen: Specimen, how: Callable[[bytes], bytes], but: Collection[str]
) -> Iterator[tuple[Product, Version, str, dict[str, Path]]]:
    for product, version in specimen.newest():
        files = specimen.files(product, version)
        for name, file in files.items():
            if name not in but:
                bad = how(file.read_bytes())
                yield product, version, name, specimen.with_bad(files, {name: bad})


def _spoilt_by(specimen: Specimen, bad: BadSample) -> tuple[Product, Version]:
    """Return the version that a bad sample is about."""
    for product, version in specimen.newest():
        if bad.product in product.name and bad.files.keys() <= {i.name for i in version.items}:
            return product, version
    must(None, f"bad sample {bad.name!r}: no product {bad.product!r} has {', '.join(bad.files)}")
    raise AssertionError


def _various(specimen: Specimen) -> Iterator[tuple[Product, Version, dict[str, Path]]]:
    """Yield the files of the first product, good and spoilt."""
    [(product, version), *_] = specimen.newest()
    yield product, version, specimen.files(product, version)
    for how in spoil.GENERIC.values():
        for each in _spoilt(specimen, how, ()):
            if each[0] is product:
                yield product, version, each[3]


def _bad(specimen: Specimen) -> Iterator[tuple[Product, Version, dict[str, Path]]]:
    """Yield the files of each bad version."""
    for bad in specimen.sample.bad:
        product, version = _spoilt_by(specimen, bad)
        files = specimen.files(product, version)
        yield product, version, specimen.with_bad(files, bad.files)


def _betrays(finding: Finding, file: Path) -> bool:
    return str(file) in finding.message or file.name in finding.message


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
