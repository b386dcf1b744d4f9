"""A catalogue that is closed while another thread reads it."""

from __future__ import annotations

import threading
import time

import pytest

from mirror.catalog.database import Database
from mirror.errors import StoreError

A_LONG_READ = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 400000)
SELECT n FROM numbers
"""


def test_closing_waits_for_a_thread_that_reads(tmp_path):
    database = Database(tmp_path / "catalog.db")
    read = []
    thread = threading.Thread(target=lambda: read.append(len(database.rows(A_LONG_READ))))
    thread.start()
    time.sleep(0.05)
    assert not read
    database.close()
    thread.join()
    assert read == [400_000]
    with pytest.raises(StoreError, match="closed"):
        database.rows("SELECT 1")
