"""Checks of how the plugin is found, loaded and set."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from mirror.api import API_VERSION, ENTRY_POINT_GROUP, SourceDefault
from mirror.errors import PluginBroken
from mirror.service import Mirror
from mirror.testing.conformance.specimen import must, settings_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.testing.conformance.specimen import Specimen

_is_id = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII).fullmatch
_is_name = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII).fullmatch
_is_fingerprint = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}", re.ASCII).fullmatch


class LoadingChecks:
    """Whether it is a plugin, and can be set."""

    def test_loads_without_a_warning(self, specimen: Specimen) -> None:
        """Loading must warn of nothing, such as an argument that is deprecated."""
        for record in specimen.plugins.records:
            if record.name == specimen.sample.plugin:
                must(not record.warnings, f"loading it warns: {'; '.join(record.warnings)}")

    def test_says_which_api_it_needs(self, specimen: Specimen) -> None:
        """The plugin's module must have `requires_api`, a pair that this mirror can serve."""
        name = specimen.sample.plugin
        [entry] = entry_points(group=ENTRY_POINT_GROUP, name=name)
        wanted = getattr(entry.load(), "requires_api", None)
        must(wanted, f"{entry.module} has no requires_api = {API_VERSION}")

    def test_its_id_is_well_formed(self, specimen: Specimen) -> None:
        """The id must be lower-case letters, digits and dashes: codes of findings begin with it."""
        own = specimen.distribution.id
        must(_is_id(own) and len(own) <= 40, f"the id {own!r} is no lower-case word with dashes")
        must(specimen.distribution.stream == "maas", "only the stream 'maas' can be published")

    def test_default_sources_are_well_formed(self, specimen: Specimen) -> None:
        """What `default_sources` suggests needs a name of its own, a plain URL, and a key."""
        sources = list(specimen.distribution.default_sources())
        again = list(specimen.distribution.default_sources())
        must(sources == again, f"asked twice, it suggests {sources} and then {again}")
        must(
            sources or not specimen.overrides("default_sources"),
            "default_sources is overridden and suggests none: leave it out",
        )
        must(all(isinstance(s, SourceDefault) for s in sources), f"no SourceDefault: {sources}")
        taken = [each.name for each in sources]
        must(len(set(taken)) == len(taken), f"two suggested sources have one name: {taken}")
        for each in sources:
            _check_source(each)

    def test_settings_round_trip(self, specimen: Specimen) -> None:
        """Settings of the plugin, written to mirror.toml and read again, must be the same."""
        first = _settings(specimen, specimen.sample.settings)
        if first is None:
            return
        written = _without_none(msgspec.to_builtins(first))
        again = _settings(specimen, written)
        must(again == first, f"settings {first} come back from mirror.toml as {again}")

    def test_refuses_unknown_settings(self, specimen: Specimen) -> None:
        """A key that the plugin does not know must be refused: it is a mistake of the operator."""
        try:
            _settings(specimen, {**specimen.sample.settings, "no_such_setting": 1})
        except PluginBroken as error:
            must("no_such_setting" in str(error), f"the error does not name the key: {error}")
        else:
            must(False, "the unknown setting no_such_setting is taken without a word")  # noqa: FBT003


def _check_source(source: SourceDefault) -> None:
    url = urlsplit(source.url)
    must(_is_name(source.name), f"the name of a suggested source is no plain word: {source.name!r}")
    must(
        url.scheme in {"http", "https"} and url.hostname,
        f"source {source.name}: {source.url!r} is no http or https URL",
    )
    must(
        not (url.username or url.password or url.query or url.fragment),
        f"source {source.name}: a URL that is suggested has no user, password or query",
    )
    must(
        source.keyring or source.fingerprints,
        f"source {source.name}: there is neither a keyring nor a fingerprint to believe it by",
    )
    bad = [each for each in source.fingerprints if not _is_fingerprint(each)]
    must(not bad, f"source {source.name}: not 40 or 64 hexadecimal digits in capitals: {bad}")
    must(
        source.title and source.title.isprintable(),
        f"source {source.name}: the title {source.title!r} is no line of text",
    )


def _settings(specimen: Specimen, section: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Load the plugin anew with this section, and return what it is given."""
    settings = settings_of(specimen.sample, specimen.folder, section)
    context = Mirror(settings).plugins.contexts.get(specimen.sample.plugin)
    return context.settings if context else None


def _without_none(value: Any) -> Any:  # noqa: ANN401
    """Leave out what TOML has no word for."""
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return value
