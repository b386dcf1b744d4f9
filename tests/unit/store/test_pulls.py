from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from mirror.store.pulls import Pulls

ONE, TWO = "20261123T120000Z-00000000", "20261124T120000Z-00000000"


def test_nothing_was_pulled(tmp_path) -> None:
    pulls = Pulls(tmp_path / "pulls")
    assert pulls.times() == {}
    pulls.forget([])


def test_a_pull_is_written_down_once_an_hour(tmp_path) -> None:
    pulls = Pulls(tmp_path / "pulls")
    pulls.note([ONE])
    assert datetime.now(UTC) - pulls.times()[ONE] < timedelta(minutes=1)
    os.utime(tmp_path / "pulls" / ONE, (0, 0))
    pulls.note([ONE, TWO])
    assert pulls.times()[ONE].year == 1970
    assert set(pulls.times()) == {ONE, TWO}
    Pulls(tmp_path / "pulls").note([ONE])  # another process
    assert pulls.times()[ONE].year > 1970


def test_stamps_of_what_is_gone_are_removed(tmp_path) -> None:
    pulls = Pulls(tmp_path / "pulls")
    pulls.note([ONE, TWO])
    pulls.forget([TWO])
    assert set(pulls.times()) == {TWO}


def test_a_disk_that_does_not_take_it_hurts_nobody(tmp_path) -> None:
    (tmp_path / "pulls").write_text("a file in the way")
    Pulls(tmp_path / "pulls").note([ONE])
