from __future__ import annotations

import asyncio

import msgspec
import pytest

from mirror.catalog import Catalog
from mirror.jobs.recording import MAX_LINES, Recorder
from mirror.model import Job, JobState, Problem, utcnow
from mirror.sync import events

TOKEN = "mirror_lop0fccs8r_Ti6T0bhZVV1AhOBSYQp3nQ8Crd3NdnlKQ3HjYppmYiw"


@pytest.fixture
def catalog(tmp_path):
    catalog = Catalog(tmp_path / "catalog.sqlite")
    yield catalog
    catalog.close()


@pytest.fixture
def recorder(catalog):
    added = catalog.jobs.add(Job(state=JobState.WAITING, created=utcnow()))
    return Recorder(catalog.jobs, added)


async def test_what_happens_is_in_the_row_within_a_second(catalog, recorder):
    writer = asyncio.create_task(recorder.keep_writing(lambda: None))
    recorder.set(JobState.RUNNING)
    recorder.emit(events.Planned(2, 1000))
    recorder.emit(events.Received("a", 400))
    recorder.emit(events.Retrying("a", 1, 0.5, "stalled"))
    await asyncio.sleep(0.8)
    job = catalog.jobs.get(recorder.job.id)
    assert (job.state, job.progress.files, job.progress.bytes_done) == (JobState.RUNNING, 2, 400)
    [line] = catalog.jobs.log(job.id)
    assert (line.number, line.level) == (1, "warning")
    assert line.message == "retrying a in 0.5 s (attempt 1): stalled"
    writer.cancel()


async def test_a_wish_to_cancel_is_heard_once(catalog, recorder):
    heard = []
    writer = asyncio.create_task(recorder.keep_writing(lambda: heard.append(True)))
    await asyncio.sleep(0.1)
    catalog.jobs.ask_to_cancel(recorder.job.id)
    await asyncio.sleep(1.3)
    assert (heard, recorder.cancelled) == ([True], True)
    writer.cancel()


async def test_a_log_has_an_end_and_room_for_how_it_went(catalog, recorder):
    for number in range(MAX_LINES + 500):
        recorder.say(f"line {number}")
    recorder.say("left out: b", "warning", last=True)
    recorder.say("failed: c", "error", last=True)
    await recorder.end(JobState.FAILED)
    lines = catalog.jobs.log(recorder.job.id, limit=-1)
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    assert lines[MAX_LINES].message == "more lines follow, which are left out here"
    assert [line.message for line in lines[MAX_LINES + 1 :]] == ["left out: b", "failed: c"]


async def test_a_long_line_is_cut(catalog, recorder):
    recorder.say("x" * 100_000)
    await recorder.end(JobState.FAILED)
    [line] = catalog.jobs.log(recorder.job.id)
    assert len(line.message) == 2000


async def test_no_secret_gets_into_the_catalogue(catalog, recorder, tmp_path):
    url = f"https://robot:hunter2@mirror.example/t/{TOKEN}/images/stable/streams/v1/index.json"
    recorder.emit(events.Note(f"asking {url}"))
    recorder.emit(events.FileFailed(url, "MIR-401", f"{url}: 500"))
    error = Problem(url, "MIR-401", f"{url} failed", f"look at '{url}'")
    await recorder.end(JobState.FAILED, result={"sources": [f"{url}: gone"]}, error=error)
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("catalog.sqlite*"))
    assert b"mirror.example" in stored
    for secret in (b"hunter2", TOKEN.encode()):
        assert secret not in stored


async def test_a_result_keeps_no_more_of_a_list_than_is_of_use(catalog, recorder):
    await recorder.end(JobState.SUCCEEDED, result={"added": list(range(5000)), "status": "done"})
    result = msgspec.json.decode(catalog.jobs.get(recorder.job.id).result)
    assert result == {"added": list(range(1000)), "status": "done"}


async def test_an_ended_job_is_not_changed_any_more(catalog, recorder):
    done = await recorder.end(JobState.SUCCEEDED, result={"status": "unchanged"})
    late = msgspec.structs.replace(done, state=JobState.RUNNING, ended=None)
    assert not catalog.jobs.update(late)
    catalog.jobs.record(late, [])
    job = catalog.jobs.get(done.id)
    assert (job.state, bytes(job.result)) == (JobState.SUCCEEDED, b'{"status":"unchanged"}')
    assert job.ended


async def test_a_catalogue_that_fails_does_not_stop_the_sync(recorder, catalog, caplog):
    writer = asyncio.create_task(recorder.keep_writing(lambda: None))
    await asyncio.sleep(0.1)
    with catalog.database.transaction() as connection:
        connection.execute("ALTER TABLE job_log RENAME TO gone")
    recorder.say("this can't be written")
    await asyncio.sleep(0.7)
    assert not writer.done()
    await recorder.end(JobState.SUCCEEDED)
    assert "could not be recorded" in caplog.text
    writer.cancel()
