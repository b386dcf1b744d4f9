"""Real plugins, installed the way a user installs them: a package with an entry point."""

from __future__ import annotations

import sys
import textwrap
from importlib.metadata import entry_points

import pytest

from mirror.api import ENTRY_POINT_GROUP, Distribution
from mirror.errors import ClaimConflict, PluginBroken
from mirror.model import Product
from mirror.plugin_manager import load_plugins

GOOD = """
    from mirror.api import Distribution, hookimpl

    class Rocky(Distribution):
        id = "rocky"
        def claims(self, product): return product.os == "rocky"
        def describe(self, product): return "Rocky"

    @hookimpl
    def mirror_distributions():
        return [Rocky()]
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a module and its entry point where Python looks for them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def put(name: str, source: str) -> None:
        (tmp_path / f"plug_{name}.py").write_text(textwrap.dedent(source))
        info = tmp_path / f"plug_{name}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: plug-{name}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{name} = plug_{name}\n")
        names.append(name)

    yield put
    for name in names:
        sys.modules.pop(f"plug_{name}", None)


def record(plugins, name):
    return next(each for each in plugins.records if each.name == name)


def test_the_bundled_plugins_come_through_the_same_door():
    plugins = load_plugins(strict=True)
    assert {each.id for each in plugins.distributions} >= {"ubuntu", "bootloaders", "centos"}
    assert all(isinstance(each, Distribution) for each in plugins.distributions)
    assert record(plugins, "ubuntu").package == "maas-image-mirror-ubuntu"


def test_a_foreign_plugin_is_found(install):
    install("rocky", GOOD)
    plugins = load_plugins(strict=True)
    found = record(plugins, "rocky")
    assert (found.status, found.package, found.version) == ("loaded", "plug-rocky", "1.5")
    assert found.distributions == ("rocky",)
    product = Product("r", "c", {"os": "rocky"}, ())
    claimant = plugins.claimant(product)
    assert claimant is not None
    assert claimant.id == "rocky"
    assert "rocky=1.5" in plugins.versions


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 +", "SyntaxError"),
        ("raise SystemError('at import')", "SystemError: at import"),
        ("import sys\nsys.exit('bye')", "SystemExit: bye"),
        ("requires_api = (2, 0)\n" + textwrap.dedent(GOOD), "it needs plugin API 2.0"),
        ("requires_api = (1, 99)\n" + textwrap.dedent(GOOD), "it needs plugin API 1.99"),
        (
            "from mirror.api import hookimpl\n@hookimpl\ndef mirror_distribution(): return []",
            "unknown hook 'mirror_distribution'",
        ),
        (
            "from mirror.api import hookimpl\n@hookimpl\ndef mirror_distributions(): return [3]",
            "returned 3, not a Distribution",
        ),
        (
            "from mirror.api import hookimpl\n@hookimpl\ndef mirror_distributions(): 1 / 0",
            "ZeroDivisionError",
        ),
    ],
)
def test_a_broken_plugin_is_recorded_and_hurts_no_other(install, source, said):
    install("broken", textwrap.dedent(source))
    install("rocky", GOOD)
    plugins = load_plugins()
    broken = record(plugins, "broken")
    assert broken.status == "failed"
    assert said in broken.error
    assert broken.remedy
    assert {each.id for each in plugins.distributions} == {
        "ubuntu",
        "bootloaders",
        "centos",
        "rocky",
    }
    with pytest.raises(PluginBroken, match="'broken'"):
        load_plugins(strict=True)


def test_two_distributions_of_one_name(install):
    install("rocky", GOOD)
    install("rocky2", GOOD)
    second = record(load_plugins(), "rocky2")
    assert second.status == "failed"
    assert second.error == "it brings distribution 'rocky', which plugin 'rocky' brings already"
    assert "block" in second.remedy


def test_two_plugins_that_claim_one_product(install):
    install("rocky", GOOD)
    install("other", GOOD.replace('id = "rocky"', 'id = "other"'))
    product = Product("the-product", "c", {"os": "rocky"}, ())
    with pytest.raises(ClaimConflict) as caught:
        load_plugins(prefer=["centos"]).claimant(product)
    assert caught.value.what == (
        "product 'the-product' is claimed by plugin 'other' (distribution 'other') "
        "and by plugin 'rocky' (distribution 'rocky')"
    )
    assert 'prefer = ["centos", "other"]' in caught.value.remedy
    assert 'prefer = ["centos", "rocky"]' in caught.value.remedy
    preferred = load_plugins(prefer=["rocky"]).claimant(product)
    assert preferred is not None
    assert preferred.id == "rocky"
    alone = load_plugins(block=["other"]).claimant(product)
    assert alone is not None
    assert alone.id == "rocky"


def test_allow_and_block():
    assert {r.name: r.status for r in load_plugins(block=["centos"]).records} == {
        "centos": "blocked",
        "ubuntu": "loaded",
    }
    assert [each.id for each in load_plugins(allow=["centos"]).distributions] == ["centos"]


def test_only_the_entry_points_that_are_given():
    only = [each for each in entry_points(group=ENTRY_POINT_GROUP) if each.name == "centos"]
    assert [each.name for each in load_plugins(found=only).records] == ["centos"]
