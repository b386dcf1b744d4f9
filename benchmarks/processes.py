"""Run programs and say what they cost: seconds, CPU seconds, peak memory."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_SAMPLE = 0.02
"""Seconds between two looks at the peak memory of a running program."""

_TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A program did not do what it should have: its figures would mean nothing."""


@dataclass(frozen=True)
class Cost:
    """What one run took. `cpu` is of the program and its children; `peak` is its own, in bytes."""

    seconds: float
    cpu: float
    peak: int
    output: str


def run(command: Sequence[str], *, log: Path) -> Cost:
    """Run a program to its end; raise `Failed` with its last words unless it ends with 0."""
    started = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        peaks = [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks))
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    watcher.join()
    output = log.read_text(errors="replace")
    if process.returncode:
        raise Failed(f"{Path(command[0]).name} ended with {process.returncode}: {output[-1500:]}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, max(peaks), output)


def _watch(pid: int, peaks: list[int]) -> None:
    """Note the peak memory until the process is gone.

    wait4's ru_maxrss would not do: it begins with the peak of the process that started it.
    """
    while peak := peak_memory(pid):
        peaks.append(peak)
        time.sleep(_SAMPLE)


def peak_memory(pid: int) -> int:
    """Return the most memory that a process has had resident, in bytes; 0 if it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU seconds that these processes have used so far, in user and kernel."""
    ticks = 0
    for pid in pids:
        fields = _stat(pid)
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    children = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if int(_stat(int(entry.name))[1]) == pid:
                    children.append(int(entry.name))
    return [pid, *children]


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on: the name may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@contextmanager
def running(
    command: Sequence[str], *, log: Path, ready: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """Run a server for as long as the block; with `ready`, wait for a line that begins so."""
    with log.open("w") as err:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if ready else err,
            stderr=err,
            text=True,
        )
        try:
            if ready:
                _await_line(process, ready, log)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


def _await_line(process: subprocess.Popen[str], ready: str, log: Path) -> None:
    line = process.stdout.readline() if process.stdout else ""
    if not line.startswith(ready):
        raise Failed(f"{log.name}: the server did not start: {line}{log.read_text()[-1500:]}")
