"""Plugins that validate and derive, inside whole syncs: real plugins, given to a real mirror."""

from __future__ import annotations

import pytest

from mirror.api import Derived, Finding, Severity
from mirror.plugin_manager import PluginRecord, Plugins

NOBLE = "24.04:amd64:ga"


class Base:
    """Ubuntu, as simply as can be."""

    id = "test-ubuntu"
    looked_at: list[str]

    def __init__(self):
        self.looked_at = []

    def claims(self, product):
        return product.os == "ubuntu"

    def describe(self, product):
        return product.name

    def default_sources(self):
        return ()

    def required(self, product):
        return False

    def choose_items(self, product, version):
        return [i for i in version.items if i.name != "derived"]

    def validate(self, product, version, files):
        self.looked_at.append(version.name)
        assert all(file.read_bytes() for file in files.values())
        return ()

    def derive(self, product, version, files, scratch):
        return ()


class Deriving(Base):
    """Makes the list of the files' names and sizes."""

    text = "v1"

    def derive(self, product, version, files, scratch):
        made = scratch / "list"
        sizes = "".join(f"{name} {file.stat().st_size}\n" for name, file in sorted(files.items()))
        made.write_text(self.text + sizes)
        path = f"derived/{product.name.rpartition(':')[2]}/{version.name}/list"
        yield Derived("derived", "list", path, made, {"maker": self.text})


def use(mut, distribution, version: str = "1") -> None:
    record = PluginRecord("test", "test", version, "loaded", (distribution.id,))
    mut.mirror.plugins = Plugins((distribution,), (record,))


@pytest.fixture
def ready(mut, sample_upstream, serve):
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", f"product_name~{NOBLE}")
    return mut


def derived(mut) -> dict[str, bytes]:
    return {
        path: mut.mirror.store.blobs.path(sha256).read_bytes()
        for path, (sha256, _) in mut.published().items()
        if path.startswith("derived/")
    }


async def test_derived_items_are_published_and_stay(ready, sample_upstream):
    use(ready, Deriving())
    await ready.sync()
    first = derived(ready)
    assert set(first) == {f"derived/ga-24.04/{v}/list" for v in ("20250615", "20250715")}
    assert all(b"squashfs " in text for text in first.values())
    assert (await ready.sync()).status == "unchanged"
    sample_upstream.add_version(only=NOBLE)
    sample_upstream.write()
    await ready.sync()
    after = derived(ready)
    assert len(after) == 2
    assert after["derived/ga-24.04/20250715/list"] == first["derived/ga-24.04/20250715/list"]


async def test_a_version_is_looked_at_once_until_the_plugin_changes(ready, sample_upstream):
    plugin = Deriving()
    use(ready, plugin)
    await ready.sync()
    assert sorted(plugin.looked_at) == ["20250615", "20250715"]
    plugin.looked_at.clear()
    sample_upstream.add_version(only=NOBLE)
    sample_upstream.write()
    await ready.sync()
    assert plugin.looked_at == ["20250814"]
    newer = Deriving()
    newer.text = "v2"
    use(ready, newer, "2")
    await ready.sync()
    assert sorted(newer.looked_at) == ["20250715", "20250814"]
    assert all(text.startswith(b"v2") for text in derived(ready).values())


async def test_an_error_found_quarantines_the_version(ready):
    class Strict(Base):
        def validate(self, product, version, files):
            if version.name == "20250715":
                yield Finding(Severity.ERROR, "strict-1", "kernel", "is not to my taste")
            yield Finding(Severity.WARNING, "strict-2", "kernel", "is rather large")

    use(ready, Strict())
    result = await ready.sync()
    assert result.exit_status == 3
    assert [each.code for each in result.left_out] == ["MIR-603"]
    assert "is not to my taste (strict-1)" in result.left_out[0].what
    assert {version for _, version in ready.versions()} == {"20250615"}


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("validate", "plugin 'test-ubuntu' failed on"),
        ("derive", "plugin 'test-ubuntu' failed on"),
        ("choose_items", "plugin 'test-ubuntu' failed to choose items"),
    ],
)
async def test_a_plugin_that_raises_costs_only_its_own_versions(ready, method, said):
    use(ready, Base())
    await ready.sync()
    before = ready.versions()

    def fail(*_arguments):
        raise RuntimeError("oops")

    broken = Base()
    setattr(broken, method, fail)
    use(ready, broken, "2")
    with_error = None
    try:
        result = await ready.sync()
        problems = [each.what for each in result.left_out]
    except Exception as error:  # noqa: BLE001  (looked at below)
        with_error = error
        problems = [str(error)]
    assert any(said in each and "oops" in each for each in problems), problems
    assert with_error is None or with_error.code == "MIR-600"
    assert ready.versions() == before  # what was published stays published


async def test_a_derived_file_outside_the_scratch_directory_is_refused(ready, tmp_path):
    class Escaping(Base):
        def derive(self, product, version, files, scratch):
            outside = tmp_path / "outside"
            outside.write_text("x")
            (scratch / "link").symlink_to(outside)
            yield Derived("derived", "list", f"derived/{version.name}/x", scratch / "link")

    use(ready, Escaping())
    with pytest.raises(Exception, match="not a file in its scratch directory"):
        await ready.sync()
    assert (tmp_path / "outside").exists()


async def test_a_derived_path_that_climbs_is_refused(ready):
    class Climbing(Base):
        def derive(self, product, version, files, scratch):
            (scratch / "x").write_text("x")
            yield Derived("derived", "list", "../x", scratch / "x")

    use(ready, Climbing())
    with pytest.raises(Exception, match=r"\.\./x") as caught:
        await ready.sync()
    assert caught.value.code == "MIR-304"
    assert list(ready.mirror.store.incoming.root.iterdir()) == []
