"""The `mirror` command as an operator runs it: a program, with a data directory."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("mirror")

# A program starts with the peak of the one that started it: this test's, which holds whole images.
# So a small one comes between.
MEASURE = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""


@dataclass(frozen=True)
class Done:
    """How a command ended; `peak` is the most memory that it held, in bytes."""

    status: int
    output: str
    errors: str
    peak: int

    def json(self) -> Any:
        assert self.status == 0, self.errors
        return json.loads(self.output)


class Commands:
    """`mirror --data-dir DIR ...`."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def __call__(self, *arguments: str) -> Done:
        """Run one command to its end."""
        with tempfile.NamedTemporaryFile() as peak:
            done = subprocess.run(
                [sys.executable, "-c", MEASURE, peak.name, *self._words(arguments)],
                capture_output=True,
                text=True,
                check=False,
            )
            return Done(done.returncode, done.stdout, done.stderr, int(peak.read()) * 1024)

    @contextlib.contextmanager
    def serving(self):
        """Serve until the block ends; yield the URL that the command says it serves."""
        command = self._words(("serve", "--host", "127.0.0.1", "--port", "0"))
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process.stdout.readline().split("serving ")[1].split("/images/")[0]
            finally:
                process.terminate()
                status = process.wait(timeout=60)
        assert status == 0

    def _words(self, arguments) -> list[str]:
        return [str(PROGRAM), "--data-dir", str(self.data_dir), *arguments]
