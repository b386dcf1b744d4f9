from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mirror.errors import (
    DataDirNotOurs,
    DataDirNotWritable,
    NotInitialised,
    SigningFailed,
    StoreError,
)
from mirror.store import DataDir, Store
from mirror.store.durable import disk_errors

if TYPE_CHECKING:
    from pathlib import Path

    from mirror.signing.key import SigningKey


def test_a_new_directory_gets_its_parts(tmp_path: Path) -> None:
    layout = DataDir(tmp_path / "not" / "yet")
    layout.create()
    layout.check()
    names = sorted(entry.name for entry in layout.root.iterdir())
    assert names == ["blobs", "channels", "format", "incoming", "snapshots"]
    assert layout.gnupg == layout.root / "gnupg"
    assert layout.catalog == layout.root / "catalog.sqlite"


def test_create_completes_a_directory_of_ours_and_keeps_the_rest(tmp_path: Path) -> None:
    layout = DataDir(tmp_path)
    layout.create()
    (layout.blobs / "sha256" / "file").write_bytes(b"x")
    (layout.root / "notes.txt").write_bytes(b"the operator's")
    layout.incoming.rmdir()
    layout.create()
    layout.check()
    assert layout.incoming.is_dir()
    assert (layout.blobs / "sha256" / "file").read_bytes() == b"x"


@pytest.mark.parametrize("leftover", ["lost+found", ".format.abcd.tmp"])
def test_an_empty_disk_may_have_lost_and_found(tmp_path: Path, leftover: str) -> None:
    (tmp_path / leftover).mkdir()
    layout = DataDir(tmp_path)
    with pytest.raises(NotInitialised):
        layout.check()
    layout.create()
    layout.check()


def test_a_directory_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_bytes(b"")
    layout = DataDir(tmp_path)
    for refuse in (layout.create, layout.check):
        with pytest.raises(DataDirNotOurs, match=r"thesis\.tex"):
            refuse()
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_layout_of_a_later_version_is_refused(tmp_path: Path) -> None:
    layout = DataDir(tmp_path)
    layout.create()
    layout.format.write_bytes(b"maas-image-mirror data:2\n")
    for refuse in (layout.create, layout.check):
        with pytest.raises(DataDirNotOurs, match="data:2"):
            refuse()


def test_a_directory_that_is_not_there_or_empty(tmp_path: Path) -> None:
    for root in (tmp_path / "none", tmp_path):
        with pytest.raises(NotInitialised, match=str(root)):
            Store.open(root)


def test_a_file_in_the_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataDirNotWritable, match="File exists"):
        DataDir(tmp_path / "file" / "data").create()


def test_a_directory_that_may_not_be_written(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mirror.store import DataDir\n"
        "from mirror.errors import MirrorError\n"
        "import os\n"
        "if sys.argv[2] == 'root': os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: DataDir(Path(sys.argv[1])).create()\n"
        "except MirrorError as error: print(type(error).__name__, error)"
    )
    tmp_path.chmod(0o555)
    who = "root" if os.getuid() == 0 else "user"
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "data"), who],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        tmp_path.chmod(0o755)
    assert done.stdout.startswith(DataDirNotWritable.__name__)
    assert "Permission denied" in done.stdout


def test_open_needs_the_mirrors_key(tmp_path: Path, signing_key: SigningKey) -> None:
    layout = DataDir(tmp_path)
    layout.create()
    with pytest.raises(SigningFailed, match="no key"):
        Store.open(tmp_path)
    shutil.copytree(signing_key.home, layout.gnupg)
    with Store.open(tmp_path) as store:
        assert store.key.fingerprint == signing_key.fingerprint


def test_other_failures_of_the_disk_keep_their_words(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match=r"data: Input/output error") as caught,
        disk_errors(tmp_path / "data"),
    ):
        raise OSError(5, "Input/output error")
    assert type(caught.value) is StoreError
