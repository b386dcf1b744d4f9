"""The suite as a third party runs it: an installed plugin, a test file, pytest, nothing of ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from suite import CHECKS, Checks

DOCS = Path(__file__).parents[3] / "docs/testing-plugins.md"

PLUGIN = r'''
"""A distribution that knows everything that one can know, and derives a list of digests."""

import hashlib
import os
import time
import msgspec
from datetime import date
from mirror.api import *
from mirror.formats import FormatError, check_content, read_archive

requires_api = (1, 0)


class Settings(msgspec.Struct, frozen=True):
    warn_days: int = 90
    vendor: str = "Slack"


@hookimpl
def mirror_settings():
    return Settings


@hookimpl
def mirror_distributions(context):
    return [Slack(context.settings)]


@hookimpl
def mirror_sync_finished(event):
    time.sleep(0.5)  # it is still told of one sync when the suite looks what that left


class Slack(Distribution):
    id = "slack"

    def __init__(self, settings):
        self.settings = settings

    def claims(self, product):
        return product.os == "slack"

    def describe(self, product):
        return f"{self.settings.vendor} {product.release}, {product.arch}"

    def default_sources(self):
        url = "https://example.org/slack/"
        yield SourceDefault("slack", url, "", "Slack", fingerprints=("AB" * 20,))

    def choose_items(self, product, version):
        chosen = [item for item in version.items if item.name in ("manifest", "root-tgz")]
        return chosen if len(chosen) == 2 else []

    def validate(self, product, version, files):
        for name, check in (("root-tgz", self.check_root), ("manifest", self.check_manifest)):
            try:
                if name in files:
                    check(files[name])
            except FormatError as error:
                yield Finding(Severity.ERROR, f"slack-{name}", name, f"the {name} {error}")

    def check_root(self, file):
        check_content(file)
        names = [member.name for member, _ in read_archive(file, limit=32 << 20)]
        if "etc/slack-release" not in names:
            raise FormatError("has no etc/slack-release")

    def check_manifest(self, file):
        check_content(file)
        self.read_manifest(file)

    def read_manifest(self, file):
        try:
            lines = file.read_text("utf-8").splitlines()
            return [Package(*line.split("\t")) for line in lines]
        except (UnicodeDecodeError, TypeError):
            raise FormatError("is no list of packages") from None

    def derive(self, product, version, files, scratch):
        if "root-tgz" in files:
            file = scratch / "digest"
            file.write_text(hashlib.sha256(files["root-tgz"].read_bytes()).hexdigest())
            path = f"slack/{product.arch}/{version.name}/root-tgz.digest"
            yield Derived("root-tgz.digest", "digest", path, file)

    def packages(self, product, version, files):
        return self.read_manifest(files["manifest"]) if "manifest" in files else []

    def notices(self, product, today):
        try:
            left = (date.fromisoformat(product.attributes["support_eol"]) - today).days
        except (KeyError, TypeError, ValueError):
            return
        if left < self.settings.warn_days:
            yield Finding(Severity.WARNING, "slack-eol", "", "support ends soon, or has ended")

    def lay_out(self, product, version):
        for item in version.items:
            yield Placement(item.name, item.path)
'''

TESTS = r"""
import gzip

from mirror.testing import BadSample, DistributionConformance, Sample, artefacts, spoil
from mirror.testing.sample_products import SampleFile, SampleProduct, day


def files(version, size):
    base = f"slack/amd64/{version}"
    root = artefacts.tar({"etc/slack-release": b"15", "filler": artefacts.noise(base, size)})
    return [
        SampleFile("manifest", f"{base}/root-tgz.manifest", b"pkgtools\t15.0\nbash\t5.2\n"),
        SampleFile("root-tgz", f"{base}/root-tgz", gzip.compress(root, mtime=0)),
    ]


ABOUT = {
    "arch": "amd64", "label": "stable", "os": "slack", "release": "slack15",
    "release_title": "Slack 15", "subarch": "generic", "subarches": "generic", "version": "15",
    "support_eol": "2030-01-01",
}
PRODUCT = SampleProduct("org.example:slack:15:amd64", "org.example:slack", ABOUT, day, files)


class TestSlack(DistributionConformance):
    sample = Sample(
        plugin="slack",
        distribution="slack",
        products=[PRODUCT],
        text_items=("manifest",),
        settings={"warn_days": 30},
        bad=[
            BadSample("another encoding", {"manifest": spoil.utf16("bash\t5")}, "slack-manifest"),
            BadSample("a bomb", {"root-tgz": spoil.gzip_bomb(64 << 20)}, "slack-root-tgz"),
        ],
    )
"""


class Ran:
    def __init__(self, output):
        self.output = output
        self.passed = _number(output, "passed")
        self.failed = set(re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", output, re.MULTILINE))

    def __repr__(self):
        return self.output


def _number(output, word):
    found = re.search(rf"(\d+) {word}\b.* in [\d.]+s", output)
    return int(found[1]) if found else 0


@pytest.fixture
def sample():
    """Return the sample that their test file has."""
    names = {}
    exec(TESTS, names)
    return names["TestSlack"].sample


@pytest.fixture
def run(install_plugin, tmp_path):
    """Return a function that installs the plugin, runs the tests in a process, and says how."""
    folder = tmp_path / "their-project"
    folder.mkdir()

    def _run(plugin=PLUGIN, tests=TESTS, *, install=True, only=""):
        if install:
            install_plugin("slack", plugin)
        (folder / "test_slack.py").write_text(tests)
        command = [sys.executable, "-m", "pytest", "-q", "-rfEs", "--rootdir", str(folder)]
        command += ["--timeout", "60"]  # then it says where it hangs
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", "-c", "/dev/null", "-k", only, str(folder)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        return Ran(done.stderr + done.stdout)

    return _run


def test_a_good_plugin_passes_every_check(run):
    ran = run()
    assert (ran.passed, ran.failed) == (len(CHECKS), set()), ran
    assert "skipped" not in ran.output


@pytest.mark.parametrize(
    ("right", "wrong", "check", "said"),
    [
        ("requires_api = (1, 0)", "", "test_says_which_api_it_needs", "no requires_api = (1, "),
        (
            'id = "slack"',
            'id = "slackware"',
            "test_claims_its_own_products",
            "no distribution 'slack'",
        ),
        (
            "https://example.org/",
            "https://me:secret@example.org/",
            "test_default_sources_are_well_formed",
            "has no user, password or query",
        ),
        ('product.os == "slack"', "True", "test_claims_no_product_of_others", "it is another's"),
        (
            'product.os == "slack"',
            "product.versions != ()",
            "test_claims_by_attributes_alone",
            "without versions: claims says",
        ),
        (
            '"slack"\n\n    def describe',
            '"slack" and not os.stat("/")\n\n    def describe',
            "test_looks_at_values_alone",
            "posix.stat",
        ),
        ("- today)", "- date.today())", "test_looks_at_values_alone", "date.today"),
        (
            "{product.release}, {product.arch}",
            "{product.attributes['release']}",
            "test_survives_strange_attributes",
            "KeyError",
        ),
        (
            "if len(chosen) == 2 else []",
            "",
            "test_takes_a_whole_version_or_nothing",
            "that is no single-file image",
        ),
        (
            "check_content(file)",
            "print(file, file=open('/tmp/log', 'a'))",
            "test_accepts_the_sample",
            "/tmp/log",
        ),
        (
            "check_content(file)",
            "__import__('urllib.request').request.urlopen('http://127.0.0.1:9')",
            "test_accepts_the_sample",
            "tried",
        ),
        (
            '"slack-{name}", name,',
            '"slack-{name}", str(files[name]),',
            "test_findings_are_well_formed",
            "which is no item",
        ),
        (
            "the {name} {error}",
            "{files[name]} {error}",
            "test_findings_are_well_formed",
            "names the file",
        ),
        (
            'check_root), ("manifest", self.check_manifest))',
            "check_root),)",
            "test_refuses_web_pages",
            "it accepts a web page in place of the manifest",
        ),
        (
            "Severity.WARNING",
            "Severity.ERROR",
            "test_notices_are_well_formed",
            "an error quarantines",
        ),
        (
            "(UnicodeDecodeError, TypeError)",
            "TypeError",
            "test_packages_survives_bad_lists",
            "not FormatError, but",
        ),
        (
            "Placement(item.name, item.path)",
            "Placement(item.name, 'root')",
            "test_lays_out_safely",
            "a path twice",
        ),
        (
            ".hexdigest())",
            ".hexdigest() + os.urandom(9).hex())",
            "test_derives_twice_the_same",
            "and then",
        ),
        (
            'path = f"slack/{product.arch}',
            'path = f"../{product.arch}',
            "test_derived_items_are_publishable",
            "climbs",
        ),
        ("warn_days: int = 90", "warn_days: int", "test_says_which_api_it_needs", "no default"),
    ],
)
def test_what_is_wrong_is_said(
    right, wrong, check, said, install_plugin, sample, tmp_path, signing_key
):
    assert right in PLUGIN
    install_plugin("slack", PLUGIN.replace(right, wrong))
    checks = Checks(sample, tmp_path, signing_key)
    try:
        with pytest.raises(Exception) as raised:  # noqa: PT011  (Wrong, or what the plugin raised)
            checks.run(check)
    finally:
        checks.close()
    assert said in f"{raised.type.__name__}: {raised.value}"


def test_pytest_shows_what_was_said_and_by_which_check(run):
    ran = run(PLUGIN.replace('product.os == "slack"', "True"), only="claims_no_product")
    assert ran.failed == {"test_claims_no_product_of_others"}, ran
    assert "is True, not False: it is another's" in ran.output


def test_a_plugin_that_is_not_installed(run):
    ran = run(install=False, only="claims")
    assert ran.passed == 0, ran
    assert "no plugin 'slack' is installed: pip install -e . in its folder" in ran.output, ran


def test_a_bad_version_needs_the_code_that_it_names(run):
    ran = run(
        tests=TESTS.replace('"slack-manifest"', '"slack-encoding"'),
        only="test_refuses_each_bad_version",
    )
    assert ran.failed == {"test_refuses_each_bad_version"}, ran
    assert "another encoding (org.example:slack:15:amd64): no error 'slack-encoding'" in ran.output


def test_a_setting_that_does_not_exist(run):
    ran = run(tests=TESTS.replace('"warn_days": 30', '"warn_day": 30'), only="settings")
    assert "did you mean 'warn_days'" in ran.output, ran


def test_each_check_says_what_was_done_wrong():
    assert [name for name, says in CHECKS.items() if not re.search("must|needs|may", says)] == []


def test_each_check_is_documented():
    page = DOCS.read_text(encoding="utf-8")
    rows = [f"| `{name}` | {says.splitlines()[0]} |" for name, says in CHECKS.items()]
    assert [row for row in rows if row not in page] == []
