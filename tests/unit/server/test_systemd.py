"""The unit that is shipped: systemd takes it, finds it hardened, and it fits the server."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.errors import SettingsInvalid
from mirror.server.supervisor import HUNG, START_TIMEOUT
from mirror.settings import DEFAULT_DATA_DIR, Settings

FOLDER = Path(__file__).parents[3] / "packaging/systemd"
UNIT = FOLDER / "maas-image-mirror.service"

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed here"
)


@pytest.fixture
def service():
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(UNIT)
    return parser["Service"]


@pytest.fixture
def unit(tmp_path):
    """The unit, with a program that this machine has."""
    text = re.sub(
        r"^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text(), flags=re.MULTILINE
    )
    file = tmp_path / UNIT.name
    file.write_text(text)
    return file


def test_systemd_takes_it(unit):
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, said) == (0, [])


def test_systemd_finds_it_hardened(unit):
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_its_times_fit_those_of_the_server(service):
    settings = Settings()
    assert service["Type"] == "notify"
    assert _seconds(service["TimeoutStopSec"]) > settings.server.drain.total_seconds() + 5
    assert _seconds(service["TimeoutStartSec"]) > START_TIMEOUT
    assert _seconds(service["WatchdogSec"]) > 2 * HUNG
    assert service["RestartPreventExitStatus"] == str(SettingsInvalid.exit_status)


def test_it_names_the_usual_data_directory(service):
    assert service["Environment"] == f"MIRROR_DATA_DIR={DEFAULT_DATA_DIR}"
    assert f"/var/lib/{service['StateDirectory']}" == str(DEFAULT_DATA_DIR)
    user = (FOLDER / "maas-image-mirror.sysusers").read_text().split()[1]
    assert service["User"] == user


def _seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|min)", text).groups()
    return int(number) * {"s": 1, "min": 60}[unit]
