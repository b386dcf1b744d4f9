"""The workshop: processes that start late, are used again, and end with what they started."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from harness import children

from mirror.api import Package, SyncFinished
from mirror.errors import (
    ManifestUnreadable,
    PluginCrashed,
    PluginError,
    PluginLimitExceeded,
    PluginTrespassed,
)
from mirror.isolation.confine import confinement
from mirror.isolation.landlock import landlock_version
from mirror.isolation.seccomp import can_filter
from mirror.isolation.workshop import Workshop
from mirror.model import Item, Product, Severity, Version
from mirror.plugin_manager import load_plugins
from mirror.settings import PluginSettings

SOURCE = """
import os, sys, time
from pathlib import Path
import msgspec
from mirror.api import *
from mirror.api import hookimpl
from mirror.formats import FormatError

class Tested(Distribution):
    id = "tested"
    settings = None

    def claims(self, product): return product.os == "tested"
    def describe(self, product): return "Tested"

    def validate(self, product, version, files):
        yield Finding(Severity.NOTE, "tested-process", "", str(os.getpid()))
        exec(version.attributes.get("do", ""))
        yield Finding(Severity.NOTE, "tested-settings", "", repr(self.settings))

    def derive(self, product, version, files, scratch):
        if version.attributes.get("derive"):
            (scratch / "made").write_text(version.name)
            yield Derived("made", "made", "a/made", scratch / "made", {"x": 1})

    def packages(self, product, version, files):
        text = files["manifest"].read_text()
        if not text:
            raise FormatError("is empty")
        return [Package(*line.split()) for line in text.splitlines()]

class Settings(msgspec.Struct):
    colour: str = "red"

@hookimpl
def mirror_settings(): return Settings

@hookimpl
def mirror_distributions(context):
    Tested.settings = context.settings
    return [Tested()]

@hookimpl
def mirror_sync_finished(context, event):
    exec(event.error)
"""

PRODUCT = Product("p", "c", {"os": "tested"}, ())


def version(do: str = "", *, derive: bool = False) -> Version:
    return Version("1", (Item("a", "a", "a/a", "0" * 64, 1),), {"do": do, "derive": derive})


class Bench:
    """A workshop with one plugin in it."""

    def __init__(self, root: Path, **settings) -> None:
        self.root = root
        self.blobs = root / "data" / "blobs"
        self.scratch = root / "data" / "incoming" / "scratch"
        self.blobs.mkdir(parents=True)
        self.scratch.mkdir(parents=True)
        (root / "data" / "secret").write_text("secret")
        (self.blobs / "a").write_text("a blob")
        self.settings = PluginSettings(**{"time_limit": 20, "processes": 1, **settings})
        self.plugins = load_plugins(allow=["tested"], strict=True, sections=self.settings.sections)

    def open(self) -> Workshop:
        return Workshop(
            self.settings,
            self.plugins,
            scratch=self.scratch,
            readable=(self.blobs,),
            private=(self.root / "data",),
        )

    async def inspect(self, workshop: Workshop, do: str = "", **more):
        files = {"a": self.blobs / "a"}
        return await workshop.inspect("tested", PRODUCT, version(do, **more), files)


@pytest.fixture
def bench(tmp_path, install_plugin):
    install_plugin("tested", SOURCE)
    install_plugin("other", SOURCE.replace('"tested"', '"other"'))
    return Bench(tmp_path)


def workers() -> set[int]:
    return {pid for pid, command in children(os.getpid()).items() if "mirror.isolation" in command}


def process_of(inspected) -> int:
    return int(inspected.findings[0].message)


async def test_a_process_starts_late_and_is_used_again(bench):
    async with bench.open() as workshop:
        assert workers() == set()
        first = await bench.inspect(workshop)
        second = await bench.inspect(workshop)
        assert workers() == {process_of(first)} == {process_of(second)}
    assert workers() == set()


async def test_what_is_found_and_made(bench):
    async with bench.open() as workshop:
        inspected = await bench.inspect(workshop, derive=True)
        assert [each.severity for each in inspected.findings] == [Severity.NOTE] * 2
        [made] = inspected.derived
        assert (made.name, made.path, made.attributes) == ("made", "a/made", {"x": 1})
        assert made.file.read_text() == "1"
        assert made.file.parent == inspected.folder
        assert inspected.folder.parent == bench.scratch
        without = await bench.inspect(workshop)
        assert (without.derived, without.folder) == ((), None)


async def test_nothing_is_derived_where_an_error_was_found(bench):
    async with bench.open() as workshop:
        found = await bench.inspect(workshop, derive=True)
        assert found.derived
        # what is executed can't yield: it changes the distribution, in its process
        do = "type(self).validate = lambda *_: [Finding(Severity.ERROR, 'x-y', '', 'bad')]"
        await bench.inspect(workshop, do)
        found = await bench.inspect(workshop, derive=True)
        assert [each.code for each in found.findings] == ["x-y"]
        assert found.derived == ()


async def test_the_packages_of_an_image(bench, tmp_path):
    manifest = bench.blobs / "manifest"
    async with bench.open() as workshop:
        manifest.write_text("bash 5.2\nzsh 5.9\n")
        files = {"manifest": manifest}
        listed = await workshop.packages("tested", PRODUCT, version(), files)
        assert listed == (Package("bash", "5.2"), Package("zsh", "5.9"))
        manifest.write_text("")
        with pytest.raises(ManifestUnreadable, match="the list of packages of 'p' 1 is empty"):
            await workshop.packages("tested", PRODUCT, version(), files)
        manifest.write_text("bash\n")
        with pytest.raises(PluginError, match="TypeError"):
            await workshop.packages("tested", PRODUCT, version(), files)


async def test_a_plugin_has_its_own_settings_and_no_other(tmp_path, install_plugin, monkeypatch):
    install_plugin("tested", SOURCE)
    monkeypatch.setenv("MIRROR_PLUGINS__OTHER__PASSWORD", "hunter2")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    bench = Bench(tmp_path, tested={"colour": "blue"})
    async with bench.open() as workshop:
        found = await bench.inspect(workshop, "assert 'hunter2' not in str(os.environ)")
        assert "colour='blue'" in found.findings[1].message


async def test_the_next_one_gets_a_fresh_process_after_a_crash(bench):
    async with bench.open() as workshop:
        first = await bench.inspect(workshop)
        with pytest.raises(PluginCrashed, match="ended by SIGABRT"):
            await bench.inspect(workshop, "os.abort()")
        assert process_of(await bench.inspect(workshop)) != process_of(first)


async def test_a_process_that_died_in_its_sleep_is_replaced(bench):
    async with bench.open() as workshop:
        first = process_of(await bench.inspect(workshop))
        os.kill(first, signal.SIGKILL)
        await until(lambda: first not in workers())
        assert process_of(await bench.inspect(workshop)) != first


async def test_an_exception_keeps_the_process(bench):
    async with bench.open() as workshop:
        first = await bench.inspect(workshop)
        with pytest.raises(PluginError, match="ZeroDivisionError: division by zero"):
            await bench.inspect(workshop, "1 / 0")
        assert process_of(await bench.inspect(workshop)) == process_of(first)


async def test_who_keeps_hanging_gets_less_time(tmp_path, install_plugin):
    install_plugin("tested", SOURCE)
    bench = Bench(tmp_path, time_limit=1)
    async with bench.open() as workshop:
        for _ in range(3):
            with pytest.raises(PluginLimitExceeded, match=r"took more than 1 seconds$"):
                await bench.inspect(workshop, "time.sleep(1000)")
        with pytest.raises(PluginLimitExceeded, match=r"more than 0.1 seconds, a tenth of the"):
            await bench.inspect(workshop, "time.sleep(1000)")


async def test_one_after_another_never_more_than_the_settings_say(bench):
    plugins = load_plugins(allow=["tested", "other"], strict=True)
    async with Workshop(bench.settings, plugins, scratch=bench.scratch) as workshop:
        asked = [workshop.inspect(each, PRODUCT, version(), {}) for each in ("tested", "other") * 3]
        for each in await asyncio.gather(*asked):
            assert process_of(each)
        assert len(workers()) == 1


async def test_the_scratch_directory_is_empty_for_each(bench):
    leave = "Path('here').write_text('x'); Path('../there').mkdir(); os.chmod('../there', 0)"
    look = "assert os.listdir('.') == []; assert len(os.listdir('..')) == 2, os.listdir('..')"
    async with bench.open() as workshop:
        await bench.inspect(workshop, leave)
        await bench.inspect(workshop, look)
        with pytest.raises(PluginError):
            await bench.inspect(workshop, leave + "; 1 / 0")
        await bench.inspect(workshop, look)


async def test_cancelling_kills_it_and_what_it_started(bench):
    breed = (
        "import subprocess; subprocess.Popen(['/bin/sleep', '87654']);"
        "Path('begun').touch(); time.sleep(1000)"
    )
    async with bench.open() as workshop:
        asking = asyncio.create_task(bench.inspect(workshop, breed))
        await until(lambda: list(bench.scratch.glob("*/home/begun")))
        before = time.monotonic()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert time.monotonic() - before < 5
        assert workers() == set()
        assert not running("87654")
        assert process_of(await bench.inspect(workshop))  # it goes on
    assert list(bench.scratch.iterdir()) == []


async def test_cancelling_what_waits_for_its_turn(bench):
    async with bench.open() as workshop:
        first = asyncio.create_task(bench.inspect(workshop, "time.sleep(0.5)"))
        second = asyncio.create_task(bench.inspect(workshop, "Path('/x').touch()"))
        await asyncio.sleep(0.05)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert process_of(await first)


async def test_closing_amid_the_work(bench):
    async def work() -> None:
        async with bench.open() as workshop, asyncio.TaskGroup() as tasks:
            tasks.create_task(bench.inspect(workshop, "time.sleep(1000)"))
            await until(workers)
            raise KeyError("something else")

    with pytest.RaisesGroup(KeyError):
        await work()
    assert workers() == set()


async def until(holds) -> None:
    while not holds():  # noqa: ASYNC110  (it is another process that brings it about)
        await asyncio.sleep(0.02)


def event(do: str) -> SyncFinished:
    return SyncFinished(job=1, channel="stable", state="failed", error=do)


async def test_an_event_is_heard_in_a_process_with_the_network(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("MIRROR_PLUGINS__OTHER__PASSWORD", "hunter2")
    heard = tmp_path / "heard"
    do = f"""
        import socket
        socket.create_server(("127.0.0.1", 0)).close()
        assert "hunter2" not in str(os.environ)
        Path({str(heard)!r}).write_text(f"{{context}} {{os.environ['HTTPS_PROXY']}}")
    """
    async with bench.open() as workshop:
        await workshop.notify("tested", event(textwrap.dedent(do)))
        assert workers() == set()
    assert heard.read_text().endswith("settings=Settings(colour='red')) http://proxy:3128")


async def test_an_event_that_is_not_heard(bench, monkeypatch):
    monkeypatch.setattr("mirror.isolation.workshop._NOTIFY_SECONDS", 1.0)
    async with bench.open() as workshop:
        with pytest.raises(PluginError, match="failed to hear of sync_finished: ZeroDiv"):
            await workshop.notify("tested", event("1 / 0"))
        with pytest.raises(PluginLimitExceeded, match="took more than 1 seconds"):
            await workshop.notify("tested", event("time.sleep(1000)"))
        with pytest.raises(PluginCrashed, match="ended with status 3"):
            await workshop.notify("tested", event("os._exit(3)"))


async def test_the_neighbours_of_the_blobs_are_not_readable(bench):
    async with bench.open() as workshop:
        assert await bench.inspect(workshop, "assert files['a'].read_text() == 'a blob'")
        secrets = [bench.root / "data" / "secret", "/etc/passwd", f"/proc/{os.getpid()}/environ"]
        for secret in secrets:
            with pytest.raises(PluginTrespassed, match=f"it tried to use {secret}"):
                await bench.inspect(workshop, f"open({str(secret)!r})")


async def test_a_worker_reads_python_where_the_data_is_beside_it(tmp_path, install_plugin):
    """The data directory below a directory of Python's path: everything but that is readable."""
    install_plugin("tested", SOURCE)
    path = tmp_path / "installed-plugins"
    bench = Bench(path)
    (path / "data" / "key.py").write_text("key = 1")
    (path / "a_module.py").write_text("value = 1")
    async with bench.open() as workshop:
        assert await bench.inspect(workshop, "import a_module")
        with pytest.raises(PluginError):
            await bench.inspect(workshop, f"open({str(path / 'data' / 'key.py')!r})")


def test_what_confines_a_plugin_here_is_said():
    files, network = confinement().split("; ")
    version = landlock_version()
    assert files.startswith(f"files: Landlock {version}" if version else "files: checks in Python")
    assert network.startswith("network: ")
    assert ("a filter of system calls" in network) == can_filter()


PARENT = """
import asyncio, sys
from pathlib import Path
from mirror.isolation.workshop import Workshop
from mirror.model import Product, Version
from mirror.plugin_manager import load_plugins
from mirror.settings import PluginSettings

async def main():
    plugins = load_plugins(allow=["tested"], strict=True)
    settings = PluginSettings()
    async with Workshop(settings, plugins, scratch=Path(sys.argv[1])) as workshop:
        product = Product("p", "c", {"os": "tested"}, ())
        do = "Path('begun').write_text(str(os.getpid())); time.sleep(1000)"
        version = Version("1", (), {"do": do})
        await workshop.inspect("tested", product, version, {})

asyncio.run(main())
"""


def test_killing_the_parent_leaves_no_worker(bench):
    with subprocess.Popen([sys.executable, "-c", PARENT, str(bench.scratch)]) as parent:
        try:
            while not (found := [f for f in bench.scratch.glob("*/home/begun") if f.read_text()]):
                time.sleep(0.02)
            worker = int(found[0].read_text())
            assert worker in children(parent.pid)
        finally:
            parent.kill()
    until = time.monotonic() + 10
    while Path(f"/proc/{worker}/cmdline").exists() and time.monotonic() < until:
        if not Path(f"/proc/{worker}/cmdline").read_bytes():
            break  # a zombie, which init has not yet seen
        time.sleep(0.02)
    assert not running("mirror.isolation.worker", str(parent.pid))


def running(*words: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if all(word in command.split("\0") for word in words):
            found.append(command)
    return found
