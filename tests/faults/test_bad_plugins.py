"""Bad plugins beside good ones, in one sync: each costs its own products only, and is named."""

from __future__ import annotations

import os
import socket
import textwrap
from functools import partial
from pathlib import Path

import pytest
from harness import MirrorUnderTest, children

from mirror.isolation.confine import confinement
from mirror.isolation.landlock import landlock_version
from mirror.isolation.seccomp import can_filter
from mirror.plugin_manager import load_plugins
from mirror.service import Mirror
from mirror.settings import PluginSettings
from mirror.testing.sample import SampleUpstream
from mirror.testing.sample_products import SampleFile, SampleProduct, day

SECONDS = 3
MEMORY = 160 * 1024**2
DISK = 4 * 1024**2
LIMITS = PluginSettings(time_limit=SECONDS, memory_limit=MEMORY, disk_limit=DISK, processes=2)

PLUGIN = """
import os, sys, time
from pathlib import Path
from mirror.api import Derived, Distribution, Finding, Severity, hookimpl

KEY, OUTSIDE, PORT = Path({key!r}), Path({outside!r}), {port}

class Tested(Distribution):
    id = {name!r}

    def claims(self, product):
        return product.os == {name!r}

    def describe(self, product):
        return product.name

    def validate(self, product, version, files):
{body}
        return ()

@hookimpl
def mirror_distributions():
    return [Tested()]
"""

GOOD = "assert all(file.stat().st_size for file in files.values())"

BAD = {
    "raises": ('raise RuntimeError("oops")', "MIR-600", "RuntimeError: oops (plug_raises.py:"),
    "exits": ('sys.exit("bye")', "MIR-600", "SystemExit: bye"),
    "not-findings": ("return [1]", "MIR-600", "it gave 1 for one of the findings, not a Finding"),
    "nonsense": (
        'return [Finding("dreadful", "x", "", "y")]',
        "MIR-600",
        "Invalid enum value 'dreadful'",
    ),
    "hangs": ("time.sleep(1000)", "MIR-605", f"it took more than {SECONDS} seconds"),
    "spins": ("while True: pass", "MIR-605", f"it took more than {SECONDS} seconds"),
    "prints": (
        'while True: print("x" * 1000), print("x" * 1000, file=sys.stderr)',
        "MIR-605",
        f"it took more than {SECONDS} seconds",
    ),
    "eats": ("[bytearray(1 << 20) for _ in range(1 << 20)]", "MIR-605", "more memory than it may"),
    "shares": (
        """
        import mmap
        size = 1 << 29
        memory = mmap.mmap(-1, size)
        for at in range(0, size, 4096): memory[at] = 1
        time.sleep(1000)
        """,
        "MIR-605",
        "it took more than 160 MiB",
    ),
    "breeds-eaters": (
        """
        import subprocess
        eat = "import time; memory = bytearray(100 << 20); time.sleep(1000)"
        for _ in range(3): subprocess.Popen([sys.executable, "-c", eat])
        time.sleep(1000)
        """,
        "MIR-605",
        "it took more than 160 MiB",
    ),
    "endless": (
        """
        def forever():
            while True: yield Finding(Severity.NOTE, "a-b", "", "again")
        return forever()
        """,
        "MIR-605",
        "it gave more than 1,000 findings",
    ),
    "talks": (
        'return [Finding(Severity.NOTE, "a-b", "", "x" * (1 << 25))]',
        "MIR-605",
        "it gave more than 16,777,216 bytes to say",
    ),
    "fills": (
        """
        for n in range(1 << 20):
            Path(f"file-{n}").write_bytes(bytes(1 << 16))
            time.sleep(0.01)
        """,
        "MIR-605",
        "it wrote more than 4 MiB",
    ),
    "one-big-file": ('Path("file").write_bytes(bytes(1 << 23))', "MIR-605", "it wrote more than"),
    "segfaults": (
        "import ctypes; ctypes.string_at(0)",
        "MIR-606",
        "its process ended by SIGSEGV",
    ),
    "ends": (
        "print('so long', file=sys.stderr, flush=True); os._exit(7)",
        "MIR-606",
        "status 7: so long",
    ),
    "babbles": (
        """
        for fd in range(3, 30):
            try: os.write(fd, b"\\0\\0\\0\\2hi")
            except OSError: pass
        """,
        "MIR-606",
        "its process said",
    ),
    "writes": ('OUTSIDE.write_text("x")', "MIR-607", "it tried to write OUTSIDE"),
    "writes-in-silence": (
        """
        try: OUTSIDE.write_text("x")
        except OSError: pass
        """,
        "MIR-607",
        "it tried to write OUTSIDE",
    ),
    "writes-from-a-shell": (
        """
        import subprocess
        subprocess.run(["/bin/sh", "-c", f"echo x > {OUTSIDE}"], check=True)
        """,
        "MIR-600",
        "CalledProcessError",
    ),
    "renames": ("os.rename(next(iter(files.values())), 'mine')", "MIR-607", "it tried to write"),
    "deletes": ("next(iter(files.values())).unlink()", "MIR-607", "it tried to write"),
    "links": ("os.symlink('/etc', OUTSIDE)", "MIR-607", "it tried to write OUTSIDE"),
    "unlocks": ("next(iter(files.values())).chmod(0o666)", "MIR-607", "it tried to write"),
    "reads-the-key": ("next(KEY.iterdir())", "MIR-607", "it tried to use KEY"),
    "reads-the-catalogue": (
        '(KEY.parent / "catalog.sqlite").read_bytes()',
        "MIR-607",
        "catalog.sqlite",
    ),
    "connects": (
        'import socket; socket.create_connection(("127.0.0.1", PORT))',
        "MIR-607",
        "it tried to look up the address of '127.0.0.1'",
    ),
    "connects-in-c": (
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        for family in (1, 2, 10, 16, 17):
            for kind in (1, 2, 3):
                assert libc.socket(family, kind, 0) == -1
        raise OSError(ctypes.get_errno(), "no socket")
        """,
        "MIR-600",
        "[Errno 1] no socket",
    ),
    "reads-the-key-in-c": (
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        for file in (KEY / "pubring.kbx", KEY / "private-keys-v1.d", KEY.parent / "format"):
            assert libc.open(str(file).encode(), 0) == -1
        raise OSError(ctypes.get_errno(), "not readable")
        """,
        "MIR-600",
        "[Errno 13] not readable",
    ),
    "kills": ("os.kill(os.getppid(), 9)", "MIR-607", "it tried to send a signal to process"),
    "leaves-the-group": ("os.setsid()", "MIR-600", "PermissionError"),
    "forks": (
        """
        import warnings
        if os.fork() == 0:
            return ()
        raise RuntimeError("parent")
        """,
        "MIR-600",
        "RuntimeError: parent",
    ),
    "breeds": (
        """
        import subprocess
        for _ in range(3): subprocess.Popen(["/bin/sleep", "98765"])
        time.sleep(1000)
        """,
        "MIR-605",
        f"it took more than {SECONDS} seconds",
    ),
}

FILES = b"".join(b"%d" % n for n in range(1000))


def product_of(os_name: str) -> SampleProduct:
    def files(version: str, _size: int) -> list[SampleFile]:
        base = f"{os_name}/1/amd64/{version}"
        return [
            SampleFile("manifest", f"{base}/root-tgz.manifest", os_name.encode()),
            SampleFile("root-tgz", f"{base}/root-tgz", os_name.encode() + FILES),
        ]

    return SampleProduct(
        name=f"test:{os_name}:1:amd64",
        content_id="test:images:download",
        attributes={
            "arch": "amd64",
            "label": "stable",
            "os": os_name,
            "release": "1",
            "release_title": os_name,
            "subarch": "generic",
            "subarches": "generic",
            "version": "1",
        },
        version=partial(day),
        files=files,
    )


@pytest.fixture
def install(install_plugin, settings, tmp_path, free_port):
    def put(name: str, body: str) -> None:
        indented = textwrap.indent(textwrap.dedent(body).strip(), " " * 8)
        source = PLUGIN.format(
            name=name,
            body=indented,
            key=str(settings.data_dir / "gnupg"),
            outside=str(tmp_path / "outside"),
            port=free_port,
        )
        install_plugin(name, source)

    return put


NEED_THE_KERNEL = {
    *("connects-in-c", "leaves-the-group", "reads-the-key", "reads-the-key-in-c"),
    "writes-from-a-shell",
}
"""What Python's checks alone can't see: left out where the kernel has no fence."""
FENCED = landlock_version() >= 4 and can_filter()
TRIED = BAD if FENCED else {name: BAD[name] for name in BAD.keys() - NEED_THE_KERNEL}


def test_what_only_the_kernel_sees_was_tried():
    if not FENCED:
        pytest.skip(f"{confinement()}; not tried: {', '.join(sorted(NEED_THE_KERNEL))}")
    assert TRIED.keys() >= NEED_THE_KERNEL


async def test_each_costs_its_own_products_only(
    settings, install, install_plugin, tmp_path, signing_key, serve, free_port
):
    install_plugin("at-import", "raise RuntimeError('at import')")
    for name, (body, _, _) in TRIED.items():
        install(name, body)
    install("good", GOOD)
    install("better", GOOD)
    names = [*TRIED, "good", "better"]
    sample = SampleUpstream.create(
        tmp_path / "upstream", key=signing_key, versions=1, products=map(product_of, names)
    )
    chosen = settings.model_copy(update={"plugins": LIMITS})
    with (
        socket.create_server(("127.0.0.1", free_port)) as listening,
        Mirror.create(chosen, name="Mirror under test", algorithm="ed25519") as mirror,
    ):
        listening.settimeout(0.1)
        mirror.plugins = load_plugins(allow=[*names, "at-import"])
        mut = MirrorUnderTest(mirror)
        mut.add_source(sample, serve(sample.root).url)
        mut.select("arch=amd64")
        result = await mut.sync()

        assert {product for product, _ in mut.versions()} == {
            "test:good:1:amd64",
            "test:better:1:amd64",
        }
        assert result.exit_status == 3
        with pytest.raises(TimeoutError):
            listening.accept()
    left_out = {each.about.split(":")[1]: each for each in result.left_out}
    assert left_out.keys() == TRIED.keys()
    for name, (_, code, said) in TRIED.items():
        expected = said.replace("OUTSIDE", str(tmp_path / "outside")).replace(
            "KEY", str(settings.data_dir / "gnupg")
        )
        problem = left_out[name]
        assert problem.what.startswith(f"plugin '{name}' failed on 'test:{name}:1:amd64' "), problem
        assert expected in problem.what, problem
        assert problem.code == code, problem
        assert problem.remedy
    [broken] = [each for each in mirror.plugins.records if each.status == "failed"]
    assert (broken.name, bool(broken.remedy)) == ("at-import", True)
    assert "RuntimeError: at import" in broken.error

    assert not (tmp_path / "outside").exists()
    assert list((settings.data_dir / "incoming").iterdir()) == []
    assert not any("98765" in command for command in everything_that_runs())
    assert not any("mirror.isolation" in each for each in children(os.getpid()).values())
    modes = {file.stat().st_mode & 0o777 for file in (settings.data_dir / "blobs").glob("*/*/*")}
    assert modes == {0o444}


def everything_that_runs() -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return found
