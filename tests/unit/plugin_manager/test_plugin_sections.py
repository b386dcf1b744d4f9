"""The settings of a plugin: typed by it, read from the file and the environment."""

from __future__ import annotations

import pytest
from plugin_packages import ROCKY, error_of, record

from mirror.plugin_manager import load_plugins

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
