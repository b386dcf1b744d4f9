"""A plugin that does not load is recorded with its remedy, and hurts no other."""

from __future__ import annotations

import sys
import textwrap

import pytest
from plugin_packages import ROCKY, error_of, record, write_package

from mirror.api import ENTRY_POINT_GROUP
from mirror.errors import PluginBroken
from mirror.plugin_manager import load_configured, load_plugins
from mirror.settings import PluginSettings

BUNDLED = {"ubuntu", "bootloaders", "centos", "custom-images"}

ONE_HOOK = "from mirror.api import hookimpl\n@hookimpl\ndef {}\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 +", "SyntaxError"),
        ("raise SystemError('at import')", "SystemError: at import"),
        ("raise BaseException('at import')", "BaseException: at import"),
        ("import sys\nsys.exit('bye')", "SystemExit: bye"),
        (
            "class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute",
            "Mute: (it can't say what)",
        ),
        ("requires_api = (2, 0)\n" + textwrap.dedent(ROCKY), "it needs plugin API 2.0"),
        ("requires_api = (1, 99)\n" + textwrap.dedent(ROCKY), "it needs plugin API 1.99"),
        ("requires_api = '>=1'", "its requires_api is '>=1', not a pair such as (1, 0)"),
        ("requires_api = (1,)", "its requires_api is (1,), not a pair"),
        (
            ONE_HOOK.format("mirror_distribution(): return []"),
            "unknown hook 'mirror_distribution'; did you mean 'mirror_distributions'?",
        ),
        (ONE_HOOK.format("setup(): return []"), "unknown hook 'setup'"),
        (
            ONE_HOOK.format("mirror_distributions(config): return []"),
            "Argument(s) {'config'} are declared in the hookimpl but can not be found",
        ),
        (
            (
                "from mirror.api import hookimpl\n@hookimpl(wrapper=True)\n"
                "def mirror_distributions():\n    return (yield)\n"
            ),
            "its mirror_distributions is a wrapper",
        ),
        (ONE_HOOK.format("mirror_distributions(): return [3]"), "returned 3, not a Distribution"),
        (ONE_HOOK.format("mirror_distributions(): return 3"), "returned 3, not a list of Dist"),
        (ONE_HOOK.format("mirror_distributions(): return 'abc'"), "returned 'abc', not a list"),
        (ONE_HOOK.format("mirror_distributions(): pass"), "mirror_distributions returned None"),
        (ONE_HOOK.format("mirror_distributions(): 1 / 0"), "ZeroDivisionError"),
        (ONE_HOOK.format("mirror_commands(): 1 / 0"), "ZeroDivisionError"),
        (ONE_HOOK.format("mirror_routes(): return [{}]"), "returned {}, not a Route"),
        (ONE_HOOK.format("mirror_settings(): return {}"), "returned {}, not a subclass of msg"),
        (ONE_HOOK.format("mirror_settings(): return dict"), "not a subclass of msgspec.Struct"),
        (
            "import msgspec\nclass S(msgspec.Struct):\n    days: int\n"
            + ONE_HOOK.format("mirror_settings(): return S"),
            "its setting 'days' has no default",
        ),
        (
            "import msgspec\nclass S(msgspec.Struct):\n    days: int = 0\n"
            "    def __post_init__(self):\n        if not self.days: raise ValueError('days')\n"
            + ONE_HOOK.format("mirror_settings(): return S"),
            "ValueError: days",
        ),
        (
            "import itertools\nfrom mirror.api import Command\n"
            + ONE_HOOK.format(
                "mirror_commands():\n"
                "    return (Command(f'c{n}', 'a:b', 'x') for n in itertools.count())"
            ),
            "returned more than 1000 values",
        ),
        (ROCKY.replace('id = "rocky"', 'id = "Rocky Linux"'), "the id 'Rocky Linux' of Rocky is"),
        (ROCKY.replace('id = "rocky"', "pass"), "the id None of Rocky is not lower-case"),
        (
            ROCKY.replace('id = "rocky"', 'id = "rocky"; stream = "mass"'),
            "distribution 'rocky' has the unknown stream 'mass'; known: maas",
        ),
        (ROCKY.replace("[Rocky()]", "[Rocky(), Rocky()]"), "it brings distribution 'rocky' twice"),
    ],
)
def test_a_broken_plugin_is_recorded_and_hurts_no_other(install, source, said):
    install("broken", textwrap.dedent(source))
    install("decent", ROCKY.replace('"rocky"', '"decent"'))
    plugins = load_plugins()
    broken = record(plugins, "broken")
    assert broken.status == "failed"
    assert said in broken.error
    assert broken.remedy
    assert "\n" not in broken.error
    assert {each.id for each in plugins.distributions} == {*BUNDLED, "decent"}
    with pytest.raises(PluginBroken, match="'broken'"):
        load_plugins(strict=True)


def test_strict_names_every_plugin_that_failed(install):
    install("broken", "import no_such_module")
    install("also", "1 +")
    with pytest.raises(PluginBroken) as caught:
        load_plugins(strict=True)
    assert "plugin 'also': SyntaxError" in caught.value.what
    assert "plugin 'broken': ModuleNotFoundError" in caught.value.what


def test_an_error_of_its_code_says_where(install):
    install("late", "def answer():\n    return 1 / 0\n\n\nanswer()\n")
    assert "ZeroDivisionError: division by zero (" in error_of("late")
    assert error_of("late").endswith("/plug_late.py:2)")


def test_what_is_brought_before_a_failure_does_not_count(install):
    """The distributions were good; the commands were not."""
    half = textwrap.dedent(ROCKY) + "\n@hookimpl\ndef mirror_commands(): 1 / 0\n"
    install("half", half)
    install("rocky", ROCKY)
    plugins = load_plugins()
    assert record(plugins, "half").distributions == ()
    assert record(plugins, "rocky").status == "loaded"
    assert "half" not in plugins.contexts


def test_two_distributions_of_one_name(install):
    install("rocky", ROCKY)
    install("rocky2", ROCKY)
    second = record(load_plugins(), "rocky2")
    assert second.status == "failed"
    assert second.error == "it brings distribution 'rocky', which plugin 'rocky' brings already"
    assert "block" in second.remedy
    assert record(load_plugins(block=["rocky"]), "rocky2").status == "loaded"


def test_two_packages_that_bring_one_plugin(install):
    install("rocky", ROCKY, package="rocky-one")
    install("rocky", ROCKY, package="rocky-two")
    plugins = load_plugins()
    [found] = [each for each in plugins.records if each.name == "rocky"]
    assert found.status == "failed"
    assert found.error == (
        "two packages bring a plugin of this name: rocky-one (rocky_one) and rocky-two (rocky_two)"
    )
    assert {each.id for each in plugins.distributions} == BUNDLED


@pytest.mark.parametrize(
    ("entry_points", "error"),
    [
        (f"[{ENTRY_POINT_GROUP}]\nthis is no entry\n", "entry points can't be read: TypeError"),
        (f"[{ENTRY_POINT_GROUP}]\nx = y z ! :\n", "entry points can't be read: AttributeError"),
        (f"[{ENTRY_POINT_GROUP}]\nx = \n", "entry points can't be read: AttributeError"),
        (b"\xff\xfe[mirror.v1]\n", ""),
    ],
    ids=["no-pair", "no-module", "empty", "no-utf-8"],
)
def test_a_damaged_package_hides_no_other(install, tmp_path, entry_points, error):
    install("rocky", ROCKY)
    info = tmp_path / "broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    data = entry_points if isinstance(entry_points, bytes) else entry_points.encode()
    (info / "entry_points.txt").write_bytes(data)
    plugins = load_plugins()
    assert record(plugins, "rocky").status == "loaded"
    found = {each.name: each.error for each in plugins.records if each.status == "failed"}
    assert list(found) == (["broken"] if error else [])
    assert error in found.get("broken", "")


def test_a_package_without_its_metadata(install, tmp_path):
    install("rocky", ROCKY)
    (tmp_path / "plug_rocky-1.5.dist-info" / "METADATA").unlink()
    found = record(load_plugins(), "rocky")
    assert (found.status, found.package, found.version) == ("loaded", "", "")


def test_a_package_that_is_there_twice_is_one(install, tmp_path, monkeypatch):
    install("rocky", ROCKY)
    further = tmp_path / "further"
    further.mkdir()
    write_package(further, "rocky", "1 / 0")
    monkeypatch.setattr(sys, "path", [*sys.path, str(further)])
    assert record(load_plugins(), "rocky").status == "loaded"


@pytest.mark.parametrize("name", ["Rocky", "rocky linux", "rocky/9", "-"])
def test_a_name_that_is_none(install, name):
    install(name, ROCKY)
    assert "its name is not lower-case letters" in error_of(name)


@pytest.mark.parametrize("name", ["allow", "prefer", "time-limit"])
def test_a_name_that_is_a_key_of_the_settings(install, name):
    install(name, ROCKY)
    found = record(load_configured(PluginSettings()), name)
    assert found.status == "failed"
    assert "is a key of [plugins]" in found.error
