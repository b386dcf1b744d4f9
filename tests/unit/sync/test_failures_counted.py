"""What plugins do wrong over a version is counted, once for each time that they do it."""

from __future__ import annotations

import pytest

from mirror.settings import PluginSettings

PLUGIN = """
    import os
    from mirror.api import Distribution, Finding, Severity, hookimpl

    class Everything(Distribution):
        id = "everything"

        def claims(self, product):
            return True

        def describe(self, product):
            return product.name

        def validate(self, product, version, files):
            if "24.04" not in product.name:
                return []
            {then}

    @hookimpl
    def mirror_distributions(context):
        return [Everything()]
"""


@pytest.mark.parametrize(
    ("then", "reason", "again"),
    [
        ("return [Finding(Severity.ERROR, 'everything-bad', '', 'it is bad')]", "invalid", 0),
        ("raise ValueError('no')", "error", 1),
        ("os.kill(os.getpid(), 9)", "crash", 1),
    ],
)
async def test_by_what_it_was(mut, sample_upstream, serve, install_plugin, then, reason, again):
    install_plugin("everything", PLUGIN.format(then=then))
    only = PluginSettings(allow=("everything",))
    mut.mirror.settings = mut.mirror.settings.model_copy(update={"plugins": only})
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os~.*")
    result = await mut.sync()
    left_out = len(result.left_out)
    assert left_out > 0
    assert mut.mirror.catalog.tallies.plugin_failures() == {("everything", reason): left_out}
    # a verdict is remembered; a failure is none, and the next sync asks again
    await mut.sync()
    total = left_out * (1 + again)
    assert mut.mirror.catalog.tallies.plugin_failures() == {("everything", reason): total}
