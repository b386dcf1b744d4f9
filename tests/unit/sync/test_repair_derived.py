"""What plugins made can't be fetched: repair lets them make it again."""

from __future__ import annotations

import textwrap

import pytest

from mirror.plugin_manager import load_plugins

NOBLE = "24.04:amd64:ga"
LIST = "derived/ga-24.04/20250715/list"
KERNEL = "20250715/ga-24.04/generic/boot-kernel"

PLUGIN = """
    from mirror.api import Derived, Distribution, Finding, Severity, hookimpl

    class Deriving(Distribution):
        id = "deriving"

        def claims(self, product):
            return product.os == "ubuntu"

        def describe(self, product):
            return product.name

        def derive(self, product, version, files, scratch):
            kernel = files["boot-kernel"].read_bytes()
            for name in NAMES:
                made = scratch / name
                made.write_bytes(PREFIX + name.encode() + kernel[:10])
                path = f"derived/ga-24.04/{version.name}/{name}"
                yield Derived(name, "list", path, made)

    @hookimpl
    def mirror_distributions():
        return [Deriving()]
"""


@pytest.fixture
def use(mut, install_plugin):
    """Install the plugin as it is now, and let the mirror know it alone."""

    def install(version: str = "1", *, prefix: str = "v1", names=("list", "more"), more="") -> None:
        constants = f'NAMES = {names!r}\nPREFIX = b"{prefix}"\n'
        source = textwrap.dedent(PLUGIN) + constants + textwrap.dedent(more)
        install_plugin("deriving", source, version)
        mut.mirror.plugins = load_plugins(allow=["deriving"], strict=True)

    return install


@pytest.fixture
async def synced(mut, sample_upstream, serve, use):
    use()
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("os=ubuntu", f"product_name~{NOBLE}")
    await mut.sync()
    return mut


def blob(mut, path: str):
    [sha256] = {sha256 for at, (sha256, _) in mut.published().items() if at.endswith(path)}
    return mut.mirror.store.blobs.path(sha256)


def tamper(file) -> None:
    file.chmod(0o644)
    file.write_bytes(b"tampered")


async def repair(mut):
    return await mut.mirror.storage.verify(repair=True, emit=mut.events.append)


async def test_what_is_lost_or_damaged_is_made_again(synced):
    lost, damaged = blob(synced, LIST), blob(synced, "20250615/more")
    before = {lost: lost.read_bytes(), damaged: damaged.read_bytes()}
    lost.unlink()
    tamper(damaged)
    report = await repair(synced)
    assert set(report.repaired) == {lost.name, damaged.name}
    assert (report.beyond, report.problems, report.exit_status) == ((), (), 0)
    assert {file: file.read_bytes() for file in before} == before
    assert (await repair(synced)).damaged == ()
    assert list(synced.mirror.store.incoming.root.iterdir()) == []


async def test_it_is_made_from_what_was_fetched_again(synced):
    lost, kernel = blob(synced, LIST), blob(synced, KERNEL)
    lost.unlink()
    kernel.unlink()
    report = await repair(synced)
    assert set(report.repaired) == {lost.name, kernel.name}
    assert report.exit_status == 0


async def test_with_what_it_is_made_from_it_is_beyond_repair(synced, sample_upstream):
    blob(synced, LIST).unlink()
    tamper(blob(synced, KERNEL))
    synced.mirror.catalog.remove_source("main")
    report = await repair(synced)
    assert len(report.beyond) == 2
    assert "made from 'boot-kernel', which is damaged, too" in report.problems[0].what


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"prefix": "v2"}, "plugin 'deriving=2' makes other bytes now"),
        ({"names": ["more"]}, "plugin 'deriving=2' makes it no more"),
    ],
)
async def test_what_comes_out_different_is_said_and_published_anew(synced, use, changed, why):
    lost = blob(synced, LIST)
    tamper(lost)
    use("2", **changed)
    report = await repair(synced)
    assert (report.beyond, report.exit_status) == ((lost.name,), 4)
    [problem] = report.problems
    assert (problem.about, problem.code) == (LIST, "MIR-609")
    assert problem.what.endswith(f"derived item 'list' is lost: {why}")
    assert "mirror sync" in problem.remedy
    assert not lost.exists()  # wrong bytes are not served in the meantime
    assert (await synced.sync()).status == "published"
    assert all(synced.mirror.store.blobs.has(sha256) for sha256, _ in synced.published().values())


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("def fail(*given):\n    raise RuntimeError('oops')\n\nDeriving.derive = fail", "oops"),
        ("def fail(*given):\n    __import__('os')._exit(3)\n\nDeriving.derive = fail", "status 3"),
        ("Deriving.claims = lambda self, product: False", "no plugin claims"),
        ("def fail(*given):\n    raise ValueError\n\nDeriving.choose_items = fail", "to choose"),
        ("def fail(*given):\n    raise ValueError\n\nDeriving.claims = fail", "failed to look at"),
    ],
)
async def test_a_plugin_that_fails_now_is_named(synced, use, more, why):
    lost = blob(synced, LIST)
    lost.unlink()
    use(more=more)
    report = await repair(synced)
    assert report.beyond == (lost.name,)
    assert why in report.problems[0].what
    use()
    assert (await repair(synced)).exit_status == 0


async def test_a_plugin_that_failed_once_is_asked_again_by_the_next_sync(synced, use, monkeypatch):
    """The plugin is the same, and the source unchanged: nothing but the loss calls for it."""
    lost = blob(synced, LIST)
    before = lost.read_bytes()
    lost.unlink()
    with monkeypatch.context() as patch:
        patch.setattr("mirror.isolation.process.sys.executable", "/nowhere")
        report = await repair(synced)
    assert "can't be started" in report.problems[0].what
    assert (await synced.sync()).exit_status == 0
    assert lost.read_bytes() == before
    assert (await synced.sync()).status == "unchanged"


async def test_the_command_says_why_and_what_to_do(synced, use, cli):
    blob(synced, LIST).unlink()
    use("2", prefix="v2")
    ran = cli("verify", "--repair", MIRROR_PLUGINS__ALLOW='["deriving"]')
    assert ran.status == 4
    assert ran.err.count("makes other bytes now [MIR-609]") == 1
    assert "Run `mirror sync`" in ran.err
    shown = cli("verify", "--json", "--repair", MIRROR_PLUGINS__ALLOW='["deriving"]').json()
    assert [each["code"] for each in shown["problems"]] == ["MIR-609"]
