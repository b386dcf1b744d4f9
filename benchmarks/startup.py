"""How long a command takes before it does anything: what a person at a prompt waits for."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benchmarks.context import Context, taken_in_turns
from benchmarks.peers import program
from benchmarks.processes import Cost, run
from benchmarks.report import Row, at_most, time_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_ROUNDS = 15
"""More than elsewhere: each takes a fraction of a second, and any other process disturbs it."""
_BAR = at_most(0.3)
_PEER = "sstream-mirror --help"


def startup(context: Context) -> list[Row]:
    """Measure `mirror --help` and `mirror source list`, beside `sstream-mirror --help`."""
    home = context.folder("startup")
    data = ("--data-dir", str(home / "data"))
    mirror, peer = program("mirror"), program("sstream-mirror")
    run([mirror, *data, "init"], log=home / "log")
    commands = {
        "help": [mirror, "--help"],
        "listing": [mirror, *data, "source", "list"],
        "peer": [peer, "--help"],
    }
    costs = _measured(commands, home)
    seconds = {name: median(cost.seconds for cost in got) for name, got in costs.items()}
    cpu = {name: median(cost.cpu for cost in got) for name, got in costs.items()}
    context.drop(home)
    return [
        time_row("mirror --help", seconds["help"], seconds["peer"], _PEER, _BAR),
        Row("mirror --help: CPU", cpu["help"], cpu["peer"], "CPU s", _PEER),
        time_row("mirror source list", seconds["listing"], seconds["peer"], _PEER, _BAR),
        Row("mirror source list: CPU", cpu["listing"], cpu["peer"], "CPU s", _PEER),
    ]


def _measured(commands: Mapping[str, Sequence[str]], home: Path) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for command in commands.values():  # for the page cache, and for what Python compiles
        run(command, log=home / "log")
    for name in taken_in_turns(_ROUNDS, list(commands)):
        costs[name].append(run(commands[name], log=home / "log"))
    return costs
