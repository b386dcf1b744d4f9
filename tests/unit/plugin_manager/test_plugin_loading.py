"""Real plugins, installed the way a user installs them: a package with an entry point."""

from __future__ import annotations

import sys
import textwrap
import types
import warnings
from importlib.metadata import entry_points

import pluggy
from plugin_packages import ROCKY, record

from mirror import hookspecs
from mirror.api import ENTRY_POINT_GROUP, Distribution, SnapshotPublished, SyncFinished
from mirror.model import Product, utcnow
from mirror.plugin_manager import load_plugins

BUNDLED = {"ubuntu", "bootloaders", "centos", "custom-images"}

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


def test_every_hook_is_called_or_an_event():
    """What `hookspecs` has and the loader does not know would be a hook that is never called."""
    names = {each for each in dir(hookspecs) if each.startswith("mirror_")}
    called = {"mirror_settings", "mirror_distributions", "mirror_commands", "mirror_routes"}
    assert names == called | set(load_plugins().listeners)


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
