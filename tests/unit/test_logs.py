from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from datetime import datetime

import pytest

from mirror import logs
from mirror.access.tokens import make
from mirror.errors import NoSpace

TOKEN = make()
SECRET = TOKEN.secret


@pytest.fixture
def logged():
    """Configure logging as a program does; return what it wrote. What was before comes back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()

    def configure(form, level="INFO"):
        logs.configure(level, form=form, stream=stream)
        return lambda: stream.getvalue().splitlines()

    yield configure
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)


def test_a_json_line_has_these_fields(logged):
    lines = logged("json")
    request, job = logs.request_id.set("req-1"), logs.job_id.set(17)
    try:
        logging.getLogger("mirror.test").warning("%s is %d", "it", 5)
    finally:
        logs.request_id.reset(request)
        logs.job_id.reset(job)
    [line] = map(json.loads, lines())
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line.pop("process") > 0
    assert line == {
        "level": "warning",
        "logger": "mirror.test",
        "message": "it is 5",
        "request": "req-1",
        "job": 17,
    }


def test_a_plain_line_says_the_same(logged):
    lines = logged("plain")
    job = logs.job_id.set(17)
    try:
        logging.getLogger("mirror.test").warning("%s is %d", "it", 5)
    finally:
        logs.job_id.reset(job)
    [line] = lines()
    time, _, rest = line.partition(" ")
    assert time.endswith("Z")
    assert datetime.fromisoformat(time).tzinfo is not None
    assert rest.startswith("WARNING [")
    assert rest.endswith("] mirror.test: it is 5 job=17")


@pytest.mark.parametrize("form", ["plain", "json"])
def test_the_code_of_an_error_is_named(logged, form):
    lines = logged(form)
    logging.getLogger("mirror.test").error("the sync failed: %s", NoSpace("no room"))
    try:
        raise NoSpace("no room")
    except NoSpace:
        logging.getLogger("mirror.test").exception("it failed")
    said = [line for line in lines() if "failed" in line]
    assert len(said) == 2
    assert all(NoSpace.code in line for line in said)


def test_a_traceback_is_in_the_record_and_redacted(logged):
    lines = logged("json")
    try:
        raise ValueError(f"http://mirror/t/{TOKEN.text}/images")
    except ValueError:
        logging.getLogger("mirror.test").exception("it failed")
    [line] = map(json.loads, lines())
    assert "ValueError" in line["traceback"]
    assert SECRET not in line["traceback"]


def test_what_a_client_sends_can_not_look_like_another_record(logged):
    lines = logged("plain")
    logging.getLogger("mirror.test").warning("odd path: %s", "x\n2026-01-01 ERROR\x1b[31m\u2028y")
    [line] = lines()
    assert r"x\n2026-01-01 ERROR\x1b[31m\u2028y" in line


@pytest.mark.parametrize("form", ["plain", "json"])
def test_a_name_that_is_no_text_can_be_logged(logged, form):
    lines = logged(form)
    logging.getLogger("mirror.test").warning("odd file: %s", "a\udce9b")
    [line] = lines()
    line.encode()
    assert "a" in line


def test_below_the_level_nothing_is_written(logged):
    lines = logged("plain", "WARNING")
    logging.getLogger("mirror.test").info("chatter")
    assert lines() == []


@pytest.mark.parametrize("form", ["plain", "json"])
@pytest.mark.parametrize(
    "text",
    [
        "GET /t/{s}/images/stable/streams/v1/index.sjson",
        "GET /t/{t}/images/stable/x?y=1",
        "http://mirror:8080/t/{s}",
        "'/t/{s}/images'",
        "the token {t} is wrong",
        "{t}{s}",
        "Authorization: Bearer {s}",
        "authorization: basic {s}",
        "Authorization={s}",
        "{{'Authorization': 'Bearer {s}'}}",
        '{{"authorization":"Basic {s}"}}',
        "(b'Authorization', b'Bearer {s}')",
        "<CIMultiDictProxy('Host': 'x', 'Authorization': 'Basic {s}')>",
        "sent Bearer {s} to it",
        "http://user:{s}@images.example/x",
        "https://{s}@images.example/x",
        "proxy http://user:a/{s}@proxy.example:3128 failed",
        "http://user:a@{s}@images.example/",
        "socks5://u:{s}@h and ftp://u:{s}@h",
        "password={s}",
        "{{'password': '{s}'}}",
        "?user=x&token={s}&z=1",
        "api_key={s}",
    ],
)
def test_no_secret_is_written(logged, form, text):
    lines = logged(form)
    logging.getLogger("mirror.test").error(text.format(s=SECRET, t=TOKEN.text))
    logging.getLogger("mirror.test").error("%s", text.format(s=SECRET, t=TOKEN.text))
    written = lines()
    assert len(written) == 2
    assert not [line for line in written if SECRET in line or SECRET[5:30] in line]


@pytest.mark.parametrize(
    "text",
    [
        "GET /images/stable/streams/v1/index.sjson 200",
        "http://images.maas.io:80/ephemeral-v3/stable/ answered 404",
        "serving http://[::1]:8080/images/<channel>/",
        "this needs a token: see `mirror token create`",
        "the key of a@b.example is 1234ABCD",
        "a basic check of the disk",
    ],
)
def test_what_is_no_secret_stays(text):
    assert logs.redact(text) == text


@pytest.mark.parametrize("given", ["a", "A-1.b_c", "x" * 64])
def test_a_sane_request_id_is_kept(given):
    assert logs.accept_request_id(given) == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\nb", "é", '"', "<script>"])
def test_any_other_gets_a_new_one(given):
    made = logs.accept_request_id(given)
    assert made != given
    assert logs.accept_request_id(made) == made
    assert logs.accept_request_id(given) != made


def test_it_costs_the_command_line_nothing():
    code = (
        "import sys, mirror.logs;"
        "print(*{'msgspec', 'aiohttp', 'argon2', 'json'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
