"""Real plugins, installed the way a user installs them: a package with an entry point."""

from __future__ import annotations

import sys
import textwrap
import time
import types
import warnings
from importlib.metadata import entry_points

import pluggy
import pytest
from plugin_packages import ROCKY, write_package

from mirror import hookspecs
from mirror.api import ENTRY_POINT_GROUP, Distribution, SnapshotPublished, SyncFinished
from mirror.cli.app import Root
from mirror.errors import ClaimConflict, PluginBroken, PluginError
from mirror.model import Product, utcnow
from mirror.plugin_manager import load_configured, load_plugins
from mirror.plugin_manager.brought import CORE_COMMANDS
from mirror.settings import PluginSettings

BUNDLED = {"ubuntu", "bootloaders", "centos"}

COMMANDS = """
    from mirror.api import Command, hookimpl

    @hookimpl
    def mirror_commands():
        return [{commands}]
"""

ROUTES = """
    import msgspec
    from mirror.api import Route, hookimpl

    class Host(msgspec.Struct):
        name: str

    def show(call): return None

    @hookimpl
    def mirror_routes():
        return [{routes}]
"""

SETTINGS = """
    import msgspec
    from mirror.api import Distribution, hookimpl

    class Ends(msgspec.Struct, frozen=True):
        days: int = 30

    class Settings(msgspec.Struct):
        warn_days: int = 90
        releases: tuple[str, ...] = ()
        title: str = "Rocky"
        quiet: bool = False
        ends: Ends = Ends()

    class Rocky(Distribution):
        id = "rocky"
        def __init__(self, settings): self.settings = settings
        def claims(self, product): return product.os == "rocky"
        def describe(self, product): return self.settings.title

    @hookimpl
    def mirror_settings():
        return Settings

    @hookimpl
    def mirror_distributions(context):
        return [Rocky(context.settings)]
"""

LISTENER = """
    from mirror.api import hookimpl

    heard = []

    @hookimpl
    def mirror_sync_finished(event):
        heard.append(event)

    @hookimpl
    def mirror_snapshot_published(context, event):
        heard.append((context.name, event.snapshot))
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a module and its entry point where Python looks for them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def put(name: str, source: str, **more: str) -> None:
        write_package(tmp_path, name, source, **more)

    yield put
    for name in set(sys.modules) - before:
        if name.startswith("plug_"):
            del sys.modules[name]


def record(plugins, name):
    return next(each for each in plugins.records if each.name == name)


def error_of(name, **more):
    found = record(load_plugins(**more), name)
    assert found.status == "failed"
    assert found.remedy
    return found.error


# --- what loads -----------------------------------------------------------------------------------


def test_the_bundled_plugins_come_through_the_same_door():
    plugins = load_plugins(strict=True)
    assert {each.id for each in plugins.distributions} >= BUNDLED
    assert all(isinstance(each, Distribution) for each in plugins.distributions)
    assert record(plugins, "ubuntu").package == "maas-image-mirror-ubuntu"


def test_a_foreign_plugin_is_found(install):
    install("rocky", ROCKY)
    plugins = load_plugins(strict=True)
    found = record(plugins, "rocky")
    assert (found.status, found.package, found.version) == ("loaded", "plug-rocky", "1.5")
    assert found.distributions == ("rocky",)
    assert (found.api, found.hooks) == ("1.0", ("mirror_distributions",))
    assert (found.warnings, found.error, found.remedy) == ((), "", "")
    product = Product("r", "c", {"os": "rocky"}, ())
    claimant = plugins.claimant(product)
    assert claimant is not None
    assert claimant.id == "rocky"
    assert "rocky=1.5" in plugins.versions
    assert (plugins.plugin_of("rocky"), plugins.version_of("rocky")) == ("rocky", "1.5")


def test_a_plugin_that_only_listens(install):
    install("listener", LISTENER)
    plugins = load_plugins(strict=True)
    assert record(plugins, "listener").status == "loaded"
    assert plugins.listeners == {
        "mirror_sync_finished": ("listener",),
        "mirror_snapshot_published": ("listener",),
    }
    done = SyncFinished(job=1, channel="stable", state="succeeded")
    moved = SnapshotPublished(
        channel="stable", snapshot="new", previous="", reason="sync", at=utcnow()
    )
    plugins.tell("listener", done)
    plugins.tell("listener", moved)
    assert sys.modules["plug_listener"].heard == [done, ("listener", "new")]


def test_a_plugin_may_be_an_object_with_hooks_as_methods(install):
    more = """
    class Plugin:
        mirror_distributions = staticmethod(mirror_distributions)

    plugin = Plugin()
    """
    install("rocky", textwrap.dedent(ROCKY) + textwrap.dedent(more), entry="plug_rocky:plugin")
    assert record(load_plugins(strict=True), "rocky").distributions == ("rocky",)


def test_only_the_entry_points_that_are_given():
    only = [each for each in entry_points(group=ENTRY_POINT_GROUP) if each.name == "centos"]
    assert [each.name for each in load_plugins(found=only).records] == ["centos"]


def test_commands_and_routes_are_with_their_plugin(install):
    command = "Command('rocky', 'plug_rocky_app:app', 'Rocky things.')"
    install("rocky", COMMANDS.format(commands=command))
    route = "Route(method='GET', path='/hosts/{name}', handler=show, summary='Show.', where=Host)"
    install("hosts", ROUTES.format(routes=route))
    plugins = load_plugins(strict=True)
    assert {name: [c.name for c in found] for name, found in plugins.commands.items()} == {
        "rocky": ["rocky"]
    }
    assert [each.path for each in plugins.routes["hosts"]] == ["/hosts/{name}"]
    assert record(plugins, "rocky").commands == ("rocky",)
    assert record(plugins, "hosts").routes == ("GET /hosts/{name}",)
    assert "plug_rocky_app" not in sys.modules


# --- what does not --------------------------------------------------------------------------------

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


def test_the_mirrors_own_commands_are_known():
    assert set(Root.lazy) == CORE_COMMANDS


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ("Command('sync', 'a:b', 'Sync.')", "the command 'sync', which the mirror has itself"),
        ("Command('Sync', 'a:b', 'x')", "the command 'Sync' is not lower-case"),
        ("Command('-x', 'a:b', 'x')", "the command '-x' is not lower-case"),
        ("Command(3, 'a:b', 'x')", "the command 3 is not lower-case"),
        ("Command('x', 'a.b', 'x')", "the app 'a.b' of command 'x' is not 'package.module:app'"),
        ("Command('x', 'a:b', '')", "the help of command 'x' is not a line of text"),
        ("Command('x', 'a:b', 'a\\nb')", "the help of command 'x' is not a line of text"),
        ("Command('x', 'a:b', 'x'), Command('x', 'a:b', 'x')", "it brings command 'x' twice"),
    ],
)
def test_a_command_that_cannot_be(install, commands, said):
    install("broken", COMMANDS.format(commands=commands))
    assert said in error_of("broken")


def test_two_plugins_with_one_command(install):
    install("one", COMMANDS.format(commands="Command('hosts', 'a:b', 'x')"))
    install("two", COMMANDS.format(commands="Command('hosts', 'a:b', 'x')"))
    assert error_of("two") == "it brings command 'hosts', which plugin 'one' brings already"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("path='hosts'", "the path is not '/' and plain names"),
        ("path='/'", "the path is not '/' and plain names"),
        ("path='/../tokens'", "the path is not '/' and plain names"),
        ("path='/a//b'", "the path is not '/' and plain names"),
        ("path='/a/'", "the path is not '/' and plain names"),
        ("path='/a?b'", "the path is not '/' and plain names"),
        ("path='/{name:.*}'", "the path is not '/' and plain names"),
        ("path='/{name}'", "the path has ['name'], `where` has none"),
        ("path='/hosts', where=Host", "the path has no parameters, `where` has ['name']"),
        ("path='/a', method='TRACE'", "the method is none of"),
        ("path='/a', right='admin'", "the right 'admin' is not 'read' or 'operate'"),
        ("path='/a', handler=None", "its handler can't be called"),
        ("path='/a', summary=' '", "it has no summary"),
        ("path='/a', body=dict", "its body is not a subclass of msgspec.Struct"),
        ("path='/a', returns=object", "its returns has no schema"),
    ],
)
def test_a_route_that_cannot_be(install, more, said):
    usual = "**{'method': 'GET', 'handler': show, 'summary': 'Show.', **dict(" + more + ")}"
    install("broken", ROUTES.format(routes=f"Route({usual})"))
    assert said in error_of("broken")


def test_one_path_twice(install):
    usual = "method='GET', handler=show, summary='Show.'"
    twice = (
        f"Route(path='/hosts/{{name}}', where=Host, {usual}),"
        f"Route(path='/hosts/{{id}}', where=msgspec.defstruct('H', [('id', str)]), {usual})"
    )
    install("broken", ROUTES.format(routes=twice))
    assert error_of("broken") == ("its routes GET /hosts/{name} and GET /hosts/{id} are one path")


# --- warnings -------------------------------------------------------------------------------------


def old_specs() -> types.ModuleType:
    """Return hook specifications of which one, and an argument of another, are deprecated."""
    specs = types.ModuleType("specs")
    vars(specs).update(vars(hookspecs))
    mark = pluggy.HookspecMarker("mirror")
    soon = DeprecationWarning("mirror_commands goes in API 2.0: use mirror_verbs")
    argument = DeprecationWarning("context goes in API 2.0")

    @mark(warn_on_impl=soon)
    def mirror_commands(context): ...

    @mark(warn_on_impl_args={"context": argument})
    def mirror_distributions(context): ...

    specs.mirror_commands = mirror_commands
    specs.mirror_distributions = mirror_distributions
    return specs


def test_what_is_deprecated_is_warned_of_and_works(install):
    with_context = ROCKY.replace("mirror_distributions()", "mirror_distributions(context)")
    commands = "@hookimpl\ndef mirror_commands(): return []\n"
    install("rocky", textwrap.dedent(with_context) + commands)
    install("new", ROCKY.replace('"rocky"', '"new"'))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plugins = load_plugins(specs=old_specs(), strict=True)
    found = record(plugins, "rocky")
    assert found.distributions == ("rocky",)
    assert set(found.warnings) == {
        "DeprecationWarning: mirror_commands goes in API 2.0: use mirror_verbs",
        "DeprecationWarning: context goes in API 2.0",
    }
    assert record(plugins, "new").warnings == ()


def test_what_python_warns_of_is_kept_once(install):
    warn = "import warnings\nfor _ in range(9): warnings.warn('old', DeprecationWarning)\n"
    install("rocky", warn + textwrap.dedent(ROCKY))
    install("broken", warn + "1 / 0")
    plugins = load_plugins()
    assert record(plugins, "rocky").warnings == ("DeprecationWarning: old",)
    assert record(plugins, "broken").warnings == ("DeprecationWarning: old",)


def test_a_hook_without_its_mark_is_said(install):
    install("rocky", ROCKY.replace("    @hookimpl\n", ""))
    assert record(load_plugins(), "rocky").warnings == (
        "mirror_distributions is not marked with @hookimpl: it is not called",
    )
    install("empty", "")
    assert record(load_plugins(), "empty").warnings == ("it implements no hook",)


def test_what_a_plugin_prints_is_not_the_output_of_a_command(install, capsys):
    install("rocky", "print('hello')\n" + textwrap.dedent(ROCKY))
    load_plugins()
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "hello\n")


# --- settings -------------------------------------------------------------------------------------


def settings_of(plugins, name="rocky"):
    return plugins.contexts[name].settings


def test_without_a_section_all_is_as_the_plugin_has_it(install):
    install("rocky", SETTINGS)
    plugins = load_plugins(strict=True)
    assert settings_of(plugins).warn_days == 90
    assert "rocky=1.5" in plugins.versions


def test_a_section_of_the_settings(install):
    install("rocky", SETTINGS)
    section = {"warn_days": 7, "releases": ["9", "10"], "ends": {"days": 1}}
    plugins = load_plugins(strict=True, sections={"rocky": section})
    found = settings_of(plugins)
    assert (found.warn_days, found.releases, found.ends.days) == (7, ("9", "10"), 1)
    [version] = [each for each in plugins.versions if each.startswith("rocky=")]
    assert version.startswith("rocky=1.5+")  # what was settled and validated is looked at anew


def test_text_of_the_environment_is_read_as_what_the_field_is(install):
    install("rocky", SETTINGS)
    section = {
        "warn_days": "30",
        "releases": '["9"]',
        "title": "[brackets]",
        "quiet": "true",
        "ends": '{"days": 2}',
    }
    found = settings_of(load_plugins(strict=True, sections={"rocky": section}))
    assert (found.warn_days, found.releases, found.title) == (30, ("9",), "[brackets]")
    assert (found.quiet, found.ends.days) == (True, 2)


def test_a_name_with_a_dash_in_the_environment(install):
    install("rocky-nine", SETTINGS)
    sections = {"rocky-nine": {"warn_days": 1, "title": "x"}, "rocky_nine": {"warn_days": "2"}}
    plugins = load_plugins(strict=True, sections=sections)
    found = settings_of(plugins, "rocky-nine")
    assert (found.warn_days, found.title) == (2, "x")
    assert {each.name for each in plugins.records if each.status == "missing"} == set()


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"warn_dayz": 1}, "settings [plugins.rocky] warn_dayz: unknown key; did you mean 'warn_d"),
        ({"xyzzy": 1}, "unknown key; known: warn_days, releases, title, quiet, ends"),
        ({"ends": {"dayz": 1}}, "[plugins.rocky] ends.dayz: unknown key; did you mean 'days'?"),
        ({"warn_days": "soon"}, "[plugins.rocky] warn_days: Expected `int`, got `str`"),
        ({"releases": [1]}, "[plugins.rocky] releases[0]: Expected `str`, got `int`"),
        ({"ends": {"days": []}}, "[plugins.rocky] ends.days: Expected `int`, got `array`"),
        ({"title": {"secret": "x"}}, "[plugins.rocky] title: Expected `str`, got `object`"),
    ],
)
def test_settings_that_do_not_fit_are_an_error_of_that_plugin(install, section, said):
    install("rocky", SETTINGS)
    install("other", ROCKY.replace('"rocky"', '"other"'))
    plugins = load_plugins(sections={"rocky": section})
    found = record(plugins, "rocky")
    assert found.status == "failed"
    assert said in found.error
    key = next(iter(section)).upper()
    assert "Mend [plugins.rocky] in mirror.toml" in found.remedy
    assert f"MIRROR_PLUGINS__ROCKY__{key}" in found.remedy
    assert record(plugins, "other").status == "loaded"


def test_a_section_of_a_plugin_without_settings(install):
    install("rocky", ROCKY)
    error = error_of("rocky", sections={"rocky": {"days": 1}})
    assert error == "settings [plugins.rocky] days: the plugin has no settings"


# --- allow, block, prefer -------------------------------------------------------------------------


def test_allow_and_block():
    assert {r.name: r.status for r in load_plugins(block=["centos"]).records} == {
        "centos": "blocked",
        "ubuntu": "loaded",
    }
    assert [each.id for each in load_plugins(allow=["centos"]).distributions] == ["centos"]


def test_what_is_blocked_is_not_imported_and_its_section_is_no_error(install):
    install("rocky", "1 / 0")
    plugins = load_plugins(block=["rocky"], sections={"rocky": {"x": 1}}, strict=True)
    assert record(plugins, "rocky").status == "blocked"


def test_what_is_named_and_not_installed_is_reported_and_not_fatal():
    plugins = load_plugins(
        allow=["ubuntu", "debian"],
        block=["gone"],
        prefer=["mine"],
        sections={"debian": {"days": 1}},
        strict=True,
    )
    said = {r.name: (r.status, *r.warnings) for r in plugins.records if not r.package}
    what = "it is not installed, and {} of the settings names it"
    assert said == {
        "debian": ("missing", what.format("[plugins] allow and [plugins.debian]")),
        "gone": ("blocked", what.format("[plugins] block")),
        "mine": ("missing", what.format("[plugins] prefer")),
    }


def test_two_plugins_that_claim_one_product(install):
    install("rocky", ROCKY)
    install("other", ROCKY.replace('id = "rocky"', 'id = "other"'))
    product = Product("the-product", "c", {"os": "rocky"}, ())
    with pytest.raises(ClaimConflict) as caught:
        load_plugins(prefer=["centos"]).claimant(product)
    assert caught.value.what == (
        "product 'the-product' is claimed by plugin 'other' (distribution 'other') "
        "and by plugin 'rocky' (distribution 'rocky')"
    )
    assert 'prefer = ["centos", "other"]' in caught.value.remedy
    assert 'prefer = ["centos", "rocky"]' in caught.value.remedy
    preferring = load_plugins(prefer=["rocky"])
    preferred = preferring.claimant(product)
    assert preferred is not None
    assert preferred.id == "rocky"
    assert "prefer=rocky" in preferring.versions
    alone = load_plugins(block=["other"]).claimant(product)
    assert alone is not None
    assert alone.id == "rocky"


def test_a_plugin_that_fails_to_look_leaves_the_products_of_others_alone(install):
    install("rocky", ROCKY)
    install(
        "broken", ROCKY.replace("return product.os ==", "1 / 0; return").replace('"rocky"', '"b"')
    )
    plugins = load_plugins(strict=True)
    claimant = plugins.claimant(Product("r", "c", {"os": "rocky"}, ()))
    assert claimant is not None
    assert claimant.id == "rocky"
    with pytest.raises(PluginError, match="plugin 'broken' failed to look at it: ZeroDivision"):
        plugins.claimant(Product("x", "c", {"os": "x"}, ()))


def test_the_claimant_of_many_products_is_found_fast(install):
    """A generous bound: what one call costs besides `claims` is next to nothing."""
    install("rocky", ROCKY)
    plugins = load_plugins(strict=True)
    products = [Product(f"r{n}", "c", {"os": "rocky"}, ()) for n in range(20_000)]
    start = time.process_time()
    assert all(plugins.claimant(each) is not None for each in products)
    assert time.process_time() - start < 1


def test_every_hook_is_called_or_an_event():
    """What `hookspecs` has and the loader does not know would be a hook that is never called."""
    names = {each for each in dir(hookspecs) if each.startswith("mirror_")}
    called = {"mirror_settings", "mirror_distributions", "mirror_commands", "mirror_routes"}
    assert names == called | set(load_plugins().listeners)
