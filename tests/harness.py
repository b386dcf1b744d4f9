"""A mirror under test, and the command line as a user runs it: what the fixtures give."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirror.model import BootSource, Selection
from mirror.service import Mirror
from mirror.sync.events import Event
from mirror.sync.result import SyncResult
from mirror.sync.run import SyncOptions

COMMAND = (sys.executable, "-m", "mirror.cli")


@dataclass
class MirrorUnderTest:
    """An open mirror, the events of its syncs, and short ways to use it."""

    mirror: Mirror
    events: list[Event] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.mirror.settings.data_dir

    def add_source(self, sample, url: str, *, name: str = "main", **more: Any) -> None:
        keyring = str(sample.keyring) if sample.key else ""
        trust = "signed" if sample.key else "none"
        source = BootSource(name=name, url=url, keyring=keyring, trust=trust, **more)
        self.mirror.sources.add(source, by="test")

    def select(self, *filters: str, source: str = "", keep: int = 2) -> None:
        selection = Selection(0, filters, source=source, keep=keep)
        self.mirror.selections.add(selection, by="test")

    async def sync(self, **options: Any) -> SyncResult:
        self.events.clear()
        return await self.mirror.syncs.run(SyncOptions(**options), self.events.append)

    def sync_now(self, **options: Any) -> SyncResult:
        return asyncio.run(self.sync(**options))

    def published(self, channel: str = "stable") -> dict[str, tuple[str, int]]:
        """Return (sha256, size) of every published image file, by path."""
        return {i.path: (i.sha256, i.size) for i in self.mirror.snapshots.show(channel).items}

    def versions(self, channel: str = "stable") -> set[tuple[str, str]]:
        """Return every published (product, version); products without their common prefix."""
        return {
            (i.product.removeprefix("com.ubuntu.maas.stable:"), i.version)
            for i in self.mirror.snapshots.show(channel).items
        }


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Cli:
    """`mirror --data-dir D ...`, as a program."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("MIRROR_")},
            "MIRROR_SYNC__ATTEMPTS": "2",
            "MIRROR_SYNC__STALL_TIMEOUT": "2",
            "MIRROR_STORE__MIN_FREE": "0",
            # a test that wants syncs that nobody asked for says so
            "MIRROR_SCHEDULE__ENABLED": "false",
        }

    def command(self, *arguments: str) -> list[str]:
        return [*COMMAND, "--data-dir", str(self.data_dir), *arguments]

    def __call__(self, *arguments: str, **environment: str) -> Ran:
        done = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            env={**self.environment, **environment},
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            **more,
        )

    @contextmanager
    def serving(self, *arguments: str, **environment: str) -> Iterator[Serving]:
        """Run `mirror serve` on any free port, until the block ends."""
        log = Path(tempfile.mkstemp(prefix="serve-", suffix=".log", dir=self.data_dir.parent)[1])
        where = ("--host", "127.0.0.1", "--port", "0", "--workers", "1")
        with (
            log.open("w") as stderr,
            subprocess.Popen(
                self.command("serve", *where, *arguments),
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**self.environment, **environment},
            ) as process,
        ):
            line = process.stdout.readline() if process.stdout else ""
            try:
                assert line, log.read_text()
                yield Serving(process, line.split()[1].partition("/images/")[0], log)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)


@dataclass(frozen=True)
class Serving:
    """A running `mirror serve`; `url` has no last slash."""

    process: subprocess.Popen[str]
    url: str
    log_file: Path

    def log(self) -> str:
        """Return what it and its processes have logged."""
        return self.log_file.read_text()

    def runner(self) -> int:
        """Return the id of the process that runs the jobs; 0 while there is none."""
        return next(iter(self._children(self.process.pid, "mirror.server.runner")), 0)

    def job_process(self) -> int:
        """Return the id of the process of the job that runs; 0 while none does."""
        runner = self.runner()
        return next(iter(self._children(runner, "--job")), 0) if runner else 0

    def _children(self, parent: int, word: str) -> list[int]:
        return [pid for pid, command in children(parent).items() if word in command]


def children(parent: int) -> dict[int, str]:
    """Return the command of each process that `parent` started, by its id."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it may end while we look
            # what stands before the last parenthesis is its name, which may hold anything
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and fields[0] != "Z":
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(process.name)] = command.decode(errors="replace")
    return found
