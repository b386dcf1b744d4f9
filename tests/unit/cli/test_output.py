from __future__ import annotations

import json

from mirror.cli.output import print_json, print_line, print_note, print_table

HOSTILE = "noble\x1b[2J\x9b31m\r\u202egnp.exe\x00"


def test_nothing_that_others_wrote_moves_the_cursor(capsys) -> None:
    print_line(HOSTILE)
    print_note(HOSTILE)
    print_table(("A", "B"), [(HOSTILE, "ä\tb")])
    out, err = capsys.readouterr()
    assert err == "noble\\u001b[2J\\u009b31m\\u000d\\u202egnp.exe\\u0000\n"
    assert all(c.isprintable() or c in "\n\t" for c in out + err)
    assert "ä\tb" in out


def test_json_stays_what_it_is(capsys) -> None:
    print_json({"name": HOSTILE})
    out, _ = capsys.readouterr()
    assert json.loads(out) == {"name": HOSTILE}
    assert all(c.isprintable() or c == "\n" for c in out)
