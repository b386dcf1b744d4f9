from __future__ import annotations

import pytest

from mirror.formats import FormatError, read_text


def test_text_comes_back_as_it_is(tmp_path):
    file = tmp_path / "list"
    file.write_text("bash\t5.2\nzsh\t5.9 é\n")
    assert read_text(file, limit=100) == "bash\t5.2\nzsh\t5.9 é\n"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"<html><body>log in</body></html>", "is a web page"),
        ("bash 5.2\n".encode("utf-16"), "is not"),
        (b"bash\xff 5.2\n", "is not UTF-8 text"),
        (b"bash\0 5.2\n", "is not text"),
    ],
    ids=("empty", "html", "utf-16", "latin", "binary"),
)
def test_what_is_no_text(tmp_path, data, said):
    file = tmp_path / "list"
    file.write_bytes(data)
    with pytest.raises(FormatError, match=said):
        read_text(file, limit=100)


def test_of_a_long_one_no_more_is_read_than_shows_that(tmp_path):
    file = tmp_path / "list"
    file.write_text("é" * 1000)  # the byte after the limit is the first half of a character
    content = read_text(file, limit=100)
    assert 50 <= len(content) <= 101
    assert len(content.encode()) > 100
