"""What a confined process can and can't do: each test confines a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from mirror.isolation.confine import system_files
from mirror.isolation.landlock import landlock_version
from mirror.isolation.seccomp import can_filter

needs_landlock = pytest.mark.skipif(
    landlock_version() < 4,
    reason="this kernel has no Landlock 4 (Linux 6.7): plugins are fenced by Python's checks alone",
)
needs_filter = pytest.mark.skipif(
    not can_filter(),
    reason="no filter of system calls here: the network is Landlock's and Python's",
)

HEAD = """
import ctypes, errno, os, socket, subprocess, sys
from pathlib import Path
from mirror.isolation.confine import confine, end_with, limit, system_files
from mirror.isolation.guard import Guard, Trespass

root = Path(sys.argv[1])
inside, outside = root / "inside", root / "outside"

def refused(call, *arguments, errors=(errno.EACCES, errno.EPERM)):
    try:
        result = call(*arguments)
    except OSError as error:
        assert error.errno in errors, error
    else:
        raise AssertionError(f"{call} {arguments}: {result}")
"""
CONFINE = """
confine(scratch=str(inside), readable=system_files([], []))
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("outside")

    def python(code: str, *, confined: bool = True) -> None:
        script = HEAD + (CONFINE if confined else "") + textwrap.dedent(code)
        done = subprocess.run(
            [sys.executable, "-B", "-c", script, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return python


@needs_landlock
def test_files(run, tmp_path):
    run("""
        (inside / "folder").mkdir()
        (inside / "folder" / "file").write_text("x")
        (inside / "folder" / "file").rename(inside / "moved")
        os.truncate(inside / "moved", 0)
        (inside / "link").symlink_to(outside / "file")
        Path("/dev/null").write_text("x")
        refused((outside / "file").read_text)
        refused((inside / "link").read_text)
        refused((outside / "file").write_text, "x")
        refused((outside / "new").write_text, "x")
        refused((outside / "new").mkdir)
        refused((outside / "file").unlink)
        refused(os.truncate, outside / "file", 0)
        refused(os.listdir, outside)
        refused(os.rename, outside / "file", inside / "mine", errors=(13, 18))
        refused(os.rename, inside / "moved", outside / "yours", errors=(13, 18))
        refused(os.link, outside / "file", inside / "mine", errors=(13, 18))
        refused(os.mknod, inside / "device", 0o600 | 0o020000, os.makedev(1, 1))
    """)
    assert (tmp_path / "outside" / "file").read_text() == "outside"
    assert len(list((tmp_path / "outside").iterdir())) == 1


@needs_landlock
def test_a_child_has_no_more(run):
    run("""
        shell = "echo x > {0}/new; cat {0}/file; exit 5"
        done = subprocess.run(["/bin/sh", "-c", shell.format(outside)], capture_output=True)
        assert (done.returncode, done.stdout) == (5, b"")
        assert done.stderr.count(b"ermission denied") == 2, done.stderr
        script = "import json; json.dump(1, open('file', 'w'))"
        subprocess.run([sys.executable, "-c", script], check=True, cwd=inside)
        assert (inside / "file").read_text() == "1"
    """)


@needs_filter
def test_network(run):
    run("""
        for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
                refused(socket.socket, family, kind)
        refused(socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM)
        one, other = socket.socketpair()
        one.send(b"x")
        assert other.recv(1) == b"x"
        import asyncio
        asyncio.run(asyncio.sleep(0))
    """)


@needs_landlock
@needs_filter
def test_other_doors(run):
    run("""
        libc = ctypes.CDLL(None, use_errno=True)
        def call(*arguments):
            result = libc.syscall(*map(ctypes.c_long, arguments))
            if result < 0:
                raise OSError(ctypes.get_errno(), "")
            return result
        parent = os.getppid()
        refused(os.kill, parent, 0)
        refused(os.setsid)
        refused(os.setpgid, 0, 0)
        refused(call, 425, 8, 0)  # io_uring_setup
        refused(call, 272 if os.uname().machine == "x86_64" else 97, 0)  # unshare
        refused(os.memfd_create, "x")
        refused(open, f"/proc/{parent}/environ")
        refused(open, f"/proc/{parent}/mem", "rb")
        assert os.uname().machine != "x86_64" or libc.syscall(ctypes.c_long(0x40000000 | 39)) == -1
    """)


def test_limits(run):
    run(
        """
        limit(memory=200 << 20, disk=1 << 20)
        try:
            memory = bytearray(300 << 20)
        except MemoryError:
            memory = None
        assert memory is None
        refused((inside / "file").write_bytes, bytes(2 << 20), errors=(errno.EFBIG,))
        import resource
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
        limit(memory=400 << 20, disk=1 << 30)  # more than it has: stays as it is
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] == 200 << 20
        """,
        confined=False,
    )


def test_it_ends_at_once_without_its_parent(run):
    run("end_with(1)\nraise AssertionError", confined=False)
    run("end_with(os.getppid())", confined=False)


def test_where_there_is_no_landlock_python_code_is_kept_to_its_files(run, tmp_path):
    run(
        """
        readable = system_files([], [])
        os.chdir(inside)
        guard = Guard(str(inside), readable)
        guard.watch()
        import decimal, json.tool  # Python itself is readable
        Path("file").write_text("x")
        Path("/dev/null").write_text("x")
        import tempfile
        with tempfile.TemporaryDirectory(dir=inside) as folder:
            Path(folder, "file").write_text("x")
        refused((outside / "file").read_text)
        assert guard.trespasses == []  # a look is no trespass
        Path("link").symlink_to(outside)
        for call, *arguments in (
            ((outside / "file").write_text, "x"),
            (Path("link/file").write_text, "x"),
            (os.open, outside / "file", os.O_RDWR),
            ((outside / "file").unlink,),
            (Path("../outside/file").unlink,),
            (os.remove, b"../outside/file"),
            ((outside / "new").mkdir,),
            (os.rename, "file", outside / "new"),
            (os.link, outside / "file", "mine"),
            (os.symlink, "x", outside / "new"),
            (os.chmod, outside / "file", 0o777),
            (os.utime, outside / "file"),
            (os.truncate, outside / "file", 0),
            (os.rmdir, outside),
        ):
            del guard.trespasses[:]
            refused(call, *arguments, errors=(None,))
            assert len(guard.trespasses) == 1, (call, arguments)
            assert str(outside) in guard.trespasses[0], guard.trespasses
        Path("link").unlink()  # the link itself is ours
        """,
        confined=False,
    )
    assert [file.name for file in (tmp_path / "outside").iterdir()] == ["file"]
    assert (tmp_path / "outside" / "file").stat().st_mode & 0o777 != 0o777


def test_where_there_is_no_filter_python_code_reaches_no_host(run):
    run(
        """
        guard = Guard(str(inside), None)
        guard.watch()
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        for call, *arguments in (
            (tcp.connect, ("127.0.0.1", 9)),
            (tcp.bind, ("127.0.0.1", 0)),
            (udp.sendto, b"x", ("127.0.0.1", 9)),
            (socket.getaddrinfo, "localhost", 80),
            (socket.gethostbyname, "localhost"),
            (os.kill, os.getppid(), 0),
        ):
            del guard.trespasses[:]
            refused(call, *arguments, errors=(None,))
            assert len(guard.trespasses) == 1, (call, arguments)
        """,
        confined=False,
    )


def test_what_is_beside_a_secret_is_readable_and_the_way_to_it_is_not(tmp_path, monkeypatch):
    data = tmp_path / "a" / "data"
    data.mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "c").mkdir()
    (data / "blobs").mkdir()
    (tmp_path / "link").symlink_to(data)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(data / "gnupg"))
    readable = system_files([str(data / "blobs")], [str(data)])
    here = {each for each in readable if each.startswith(str(tmp_path))}
    assert here == {str(tmp_path / "b"), str(tmp_path / "a" / "c"), str(data / "blobs")}
    assert os.path.realpath(sys.base_prefix) in readable
