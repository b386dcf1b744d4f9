"""Plugins that validate and derive, inside whole syncs: real plugins, installed beside a mirror."""

from __future__ import annotations

import hashlib
import os
import textwrap

import pytest
from harness import children

from mirror.errors import MirrorError
from mirror.plugin_manager import load_plugins

NOBLE = "24.04:amd64:ga"

HEAD = """
    from pathlib import Path

    from mirror.api import Derived, Distribution, Finding, Severity, hookimpl

    class Tested(Distribution):
        id = "test-ubuntu"

        def claims(self, product):
            return product.os == "ubuntu"

        def describe(self, product):
            return product.name

    @hookimpl
    def mirror_distributions():
        return [Tested()]
"""

DERIVING = """
    def validate(self, product, version, files):
        assert all(file.read_bytes() for file in files.values())
        yield Finding(Severity.NOTE, "test-ubuntu-process", "", str(__import__("os").getpid()))

    def derive(self, product, version, files, scratch):
        made = scratch / "list"
        sizes = "".join(f"{name} {file.stat().st_size}\\n" for name, file in sorted(files.items()))
        made.write_text(TEXT + sizes)
        path = f"derived/{product.name.rpartition(':')[2]}/{version.name}/list"
        yield Derived("derived", "list", path, made, {"maker": TEXT})

    Tested.validate, Tested.derive = validate, derive
"""


def deriving(text: str = "v1") -> str:
    return f'    TEXT = "{text}"\n' + DERIVING


@pytest.fixture
def use(mut, install_plugin):
    """Install a plugin, `methods` put onto its distribution, and let the mirror know it alone."""

    def install(methods: str = "", version: str = "1") -> None:
        source = textwrap.dedent(HEAD) + textwrap.dedent(methods)
        install_plugin("tested", source, version)
        mut.mirror.plugins = load_plugins(allow=["tested"], strict=True)

    return install


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


def validations(mut):
    products = {item.product for item in mut.mirror.snapshots.show("stable").items}
    return mut.mirror.catalog.validations.of(products)


async def test_derived_items_are_published_and_stay(ready, sample_upstream, use):
    use(deriving())
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


async def test_derived_items_are_marked_and_no_plugin_sees_them(ready, use):
    seen = """
        def validate(self, product, version, files):
            names = [item.name for item in version.items]
            assert "derived" not in names and sorted(files) == sorted(names)
            assert product.versions == (version,)
            return ()

        def choose_items(self, product, version):
            assert not any(item.derived for item in version.items)
            return version.items

        Tested.validate, Tested.choose_items = validate, choose_items
    """
    use(deriving())
    await ready.sync()
    use(textwrap.dedent(deriving()) + textwrap.dedent(seen), "2")
    assert not (await ready.sync()).left_out
    [product] = ready.mirror.snapshots.show("stable").items[:1]
    assert product.product.endswith("ga-24.04")
    assert len(derived(ready)) == 2


async def test_a_version_is_looked_at_once_until_its_plugin_changes(ready, sample_upstream, use):
    use(deriving())
    await ready.sync()
    first = validations(ready)
    assert {version for _, version, _ in first} == {"20250615", "20250715"}
    sample_upstream.add_version(only=NOBLE)
    sample_upstream.write()
    await ready.sync()
    second = validations(ready)
    # the note names the process that looked: the older ones were not looked at again
    assert {**second, **first} == second
    assert {version for _, version, _ in second.keys() - first.keys()} == {"20250814"}
    use(deriving("v2"), "2")
    await ready.sync()
    third = validations(ready)
    changed = {
        version for name, version, _ in third if third[name, version, _] != second[name, version, _]
    }
    assert changed == {"20250715", "20250814"}
    assert all(text.startswith(b"v2") for text in derived(ready).values())
    assert {each.judge for each in third.values()} == {"tested=1", "tested=2"}


async def test_what_another_plugin_brings_is_not_looked_at_again(
    ready, sample_upstream, use, install_plugin
):
    use(deriving())
    await ready.sync()
    first = validations(ready)
    other = (
        textwrap.dedent(HEAD).replace('"test-ubuntu"', '"other"').replace('"ubuntu"', '"debian"')
    )
    install_plugin("other", other, "1")
    ready.mirror.plugins = load_plugins(allow=["tested", "other"], strict=True)
    await ready.sync()
    assert validations(ready) == first
    install_plugin("other", other, "2")
    ready.mirror.plugins = load_plugins(allow=["tested", "other"], strict=True)
    await ready.sync()
    assert validations(ready) == first


async def test_what_a_plugin_makes_no_more_goes(ready, use):
    use(deriving())
    await ready.sync()
    assert derived(ready)
    use("", "2")
    await ready.sync()
    assert derived(ready) == {}
    assert len(ready.versions()) == 2


async def test_nothing_new_starts_no_process(ready, use, monkeypatch, sample_upstream):
    use(deriving())
    await ready.sync()
    # a process that starts from now on can't
    monkeypatch.setattr("mirror.isolation.process.sys.executable", "/nowhere")
    assert (await ready.sync()).status == "unchanged"
    sample_upstream.write()  # signed anew: read and planned in full
    assert not (await ready.sync()).left_out
    use(deriving(), "2")
    result = await ready.sync()
    assert "can't be started" in result.left_out[0].what


async def test_no_process_is_left(ready, use):
    use(deriving())
    await ready.sync()
    assert [each for each in children(os.getpid()).values() if "mirror.isolation" in each] == []
    assert list(ready.mirror.store.incoming.root.iterdir()) == []


async def test_an_error_found_quarantines_the_version(ready, use):
    use("""
        def validate(self, product, version, files):
            if version.name == "20250715":
                yield Finding(Severity.ERROR, "strict-1", "kernel", "is not to my taste")
            yield Finding(Severity.WARNING, "strict-2", "kernel", "is rather large")

        Tested.validate = validate
    """)
    result = await ready.sync()
    assert result.exit_status == 3
    assert [each.code for each in result.left_out] == ["MIR-603"]
    assert "is not to my taste (strict-1)" in result.left_out[0].what
    assert {version for _, version in ready.versions()} == {"20250615"}
    assert [len(each.findings) for each in result.findings] == [1, 2]
    again = await ready.sync()  # remembered
    assert [each.code for each in again.left_out] == ["MIR-603"]


async def test_what_a_plugin_says_is_shown_on_one_line_and_bounded(ready, use):
    use("""
        def validate(self, product, version, files):
            yield Finding(Severity.WARNING, "a-b", "x" * 10000, "\\x1b[31mred\\n\\u202eline" * 1000)

        Tested.validate = validate
    """)
    await ready.sync()
    [one, _] = [finding for each in validations(ready).values() for finding in each.findings]
    assert one.message.startswith("[31mred line [31mred line")
    assert one.message.isprintable()
    assert (len(one.message), len(one.where)) == (1000, 300)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("validate", "plugin 'tested' failed on"),
        ("derive", "plugin 'tested' failed on"),
        ("choose_items", "plugin 'test-ubuntu' failed to choose items"),
    ],
)
async def test_a_plugin_that_raises_costs_only_its_own_versions(ready, use, method, said):
    use()
    await ready.sync()
    before = ready.versions()
    use(
        f"""
        def fail(*arguments):
            raise RuntimeError("oops")

        Tested.{method} = fail
        """,
        "2",
    )
    error = None
    try:
        result = await ready.sync()
        problems = [(each.what, each.code) for each in result.left_out]
    except MirrorError as caught:
        error = caught
        problems = [(error.what, error.code)]
    assert any(said in what and "oops" in what for what, _ in problems), problems
    assert {code for _, code in problems} == {"MIR-600"}
    assert ready.versions() == before  # what was published stays published


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            'yield Derived("derived", "list", "derived/x", Path("/etc/os-release"))',
            "derived item 'derived' is not a file in its scratch directory",
        ),
        (
            """
            (scratch / "x").write_text("x")
            yield Derived("derived", "list", version.items[0].path, scratch / "x")
            """,
            "the path of a derived item is taken",
        ),
        (
            """
            (scratch / "x").write_text(version.name)
            yield Derived("derived", "list", "derived/same", scratch / "x")
            """,
            "the path of a derived item is taken: derived/same",
        ),
    ],
)
async def test_a_derived_file_that_can_not_be_published(ready, use, body, said):
    use()
    await ready.sync()
    before = ready.published()
    indented = textwrap.indent(textwrap.dedent(body), " " * 4)
    derive = f"\ndef derive(self, product, version, files, scratch):\n{indented}\n"
    use(textwrap.dedent(derive) + "\nTested.derive = derive\n", "2")
    result = await ready.sync()
    assert {each.code for each in result.left_out} == {"MIR-608"}
    assert said in result.left_out[0].what
    assert ready.published() == before
    assert list(ready.mirror.store.incoming.root.iterdir()) == []


async def test_what_a_plugin_writes_later_is_not_in_the_store(ready, use):
    use("""
        import threading, time

        def derive(self, product, version, files, scratch):
            file = (scratch / "x").open("w")
            file.write("as it was")
            file.flush()

            def later():
                for _ in range(100):
                    time.sleep(0.01)
                    file.seek(0)
                    file.write("later on!")
                    file.flush()

            threading.Thread(target=later, daemon=True).start()
            yield Derived("derived", "list", f"derived/{version.name}/x", scratch / "x")

        Tested.derive = derive
    """)
    await ready.sync()
    # either of the two, whole: never other bytes than those that were hashed
    assert set(derived(ready).values()) <= {b"as it was", b"later on!"}
    for sha256, _ in ready.published().values():
        content = ready.mirror.store.blobs.path(sha256).read_bytes()
        assert hashlib.sha256(content).hexdigest() == sha256
