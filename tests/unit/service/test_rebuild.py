"""A catalogue that is lost or damaged: none is made in silence, the snapshots bring it back."""

from __future__ import annotations

import sqlite3
import stat
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from harness import MirrorUnderTest

from mirror.errors import (
    Busy,
    CatalogDamaged,
    CatalogMissing,
    CatalogWhole,
    MirrorError,
    NotFound,
    NothingSelected,
    Rollback,
)
from mirror.model import BootSource, Role
from mirror.service import Mirror
from mirror.service.catalog_file import back_up, inspect
from mirror.service.rebuild import rebuild
from mirror.store import content_lock


@pytest.fixture
def lost(mut, sample_upstream, serve):
    """Return a function that loses the catalogue of a mirror which has published."""
    sample_upstream.write()
    served = serve(sample_upstream.root)
    mut.add_source(sample_upstream, served.url, priority=3)
    mut.select("release~(jammy|noble)", keep=1)
    mut.sync_now()
    mut.served = served

    def lose() -> MirrorUnderTest:
        mut.mirror.close()
        delete(mut.root)
        return mut

    return lose


def delete(root: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (root / f"catalog.sqlite{suffix}").unlink(missing_ok=True)


def remembered(mut: MirrorUnderTest) -> dict[str, dict[str, str]]:
    return msgspec.json.decode(mut.mirror.catalog.memory("main").seen)


def trust(mut: MirrorUnderTest, sample) -> None:
    """Give the source its keyring back, as the report says."""
    mut.mirror.sources.update("main", {"keyring": str(sample.keyring), "enabled": True}, by="test")


# --- nobody makes an empty one --------------------------------------------------------------------


def test_a_missing_catalogue_is_not_made_anew_in_silence(lost):
    mut = lost()
    with pytest.raises(CatalogMissing):
        mut.mirror.sources.list()
    assert not (mut.root / "catalog.sqlite").exists()


def test_a_mirror_that_never_published_begins_with_an_empty_one(mut):
    assert mut.mirror.sources.list() == []
    with pytest.raises(NotFound, match="no snapshots"):
        rebuild(mut.mirror, by="test")


def test_what_is_published_can_be_shown_without_it(lost):
    mut = lost()
    assert mut.versions()


@pytest.mark.parametrize("size", [4096, 40960])
def test_random_bytes_are_a_damaged_catalogue(lost, size):
    mut = lost()
    (mut.root / "catalog.sqlite").write_bytes(bytes(range(1, 256)) * (size // 255))
    with pytest.raises(CatalogDamaged):
        mut.mirror.sources.list()
    assert inspect(mut.mirror.dir).problem


def test_a_catalogue_with_a_hole_is_seen_by_who_looks(lost, mut):
    mut.mirror.close()
    file = mut.root / "catalog.sqlite"
    data = bytearray(file.read_bytes())
    data[8192:20480] = b"\xa5" * (20480 - 8192)
    file.write_bytes(data)
    assert inspect(mut.mirror.dir).problem


# --- and the snapshots bring it back --------------------------------------------------------------


def test_the_same_is_remembered_of_the_source(lost, mut):
    """The time and the digest of each metadata file, to the byte: else it cries wolf."""
    before = remembered(mut)
    lost()
    rebuild(mut.mirror, by="test")
    assert remembered(mut) == before
    assert len(before) > 1


@pytest.mark.parametrize("form", ["sjson", "json"])
def test_the_same_is_remembered_in_either_form_of_signature(mut, sample_upstream, serve, form):
    sample_upstream.write()
    url = serve(sample_upstream.root).url
    mut.add_source(sample_upstream, f"{url}/streams/v1/index.{form}")
    mut.select("release=noble")
    mut.sync_now()
    before = remembered(mut)
    mut.mirror.close()
    delete(mut.root)
    [source] = rebuild(mut.mirror, by="test").sources
    assert remembered(mut) == before
    assert source.url.startswith(url)


def test_the_next_sync_fetches_no_image_and_drops_none(lost, sample_upstream):
    mut = lost()
    before = mut.published()
    rebuild(mut.mirror, by="test")
    trust(mut, sample_upstream)
    mut.served.requests.clear()

    result = mut.sync_now()

    assert (result.added, result.dropped) == ((), ())
    assert mut.published() == before
    assert {path.rpartition("/")[0] for path in mut.served.paths()} == {"/streams/v1"}


def test_an_older_stream_is_still_refused(lost, sample_upstream):
    mut = lost()
    rebuild(mut.mirror, by="test")
    trust(mut, sample_upstream)
    sample_upstream.updated -= timedelta(days=1)
    sample_upstream.write()
    with pytest.raises(Rollback):
        mut.sync_now()


def test_a_source_whose_key_is_not_here_is_disabled_and_trusts_that_key_alone(
    lost, sample_upstream, other_signing_key
):
    mut = lost()
    report = rebuild(mut.mirror, by="test")
    [source] = mut.mirror.sources.list()
    assert report.keyless == ("main",)
    assert not source.enabled
    assert source.fingerprints == (sample_upstream.key.fingerprint,)
    with pytest.raises(NothingSelected):
        mut.sync_now()
    other = mut.root.parent / "other.gpg"
    other.write_bytes(other_signing_key.public_binary())
    with pytest.raises(MirrorError, match="fingerprints"):
        mut.mirror.sources.update("main", {"keyring": str(other)}, by="test")


def test_a_source_that_was_believed_unsigned_is_again(mut, tmp_path, serve):
    from mirror.testing.sample import SampleUpstream

    sample = SampleUpstream.create(tmp_path / "unsigned", key=None)
    sample.write()
    mut.add_source(sample, serve(sample.root).url)
    mut.select("release=noble")
    mut.sync_now()
    before = remembered(mut)
    mut.mirror.close()
    delete(mut.root)
    [source] = rebuild(mut.mirror, by="test").sources
    assert (source.trust, source.enabled) == ("none", True)
    assert remembered(mut) == before


def test_selections_keep_what_is_published(lost):
    mut = lost()
    report = rebuild(mut.mirror, by="test")
    assert {(each.os, each.release, each.keep) for each in report.selections} == {
        ("ubuntu", "jammy", 1),
        ("ubuntu", "noble", 1),
    }
    assert all(each.source == "main" and each.bootloaders for each in report.selections)


def test_a_pin_does_not_cost_the_bootloaders_their_older_versions(lost, mut, sample_upstream):
    sample_upstream.add_version()
    sample_upstream.write()
    [selection] = mut.mirror.selections.list()
    mut.mirror.selections.update(msgspec.structs.replace(selection, keep=2), by="test")
    mut.sync_now()
    pinned = min(v for p, v in mut.versions() if ":24.04:" in p)
    mut.mirror.channels.pin("stable", ["os=ubuntu"], pinned, by="test")
    before = {each for each in mut.versions() if ":v3:" not in each[0]}
    lost()
    selections = rebuild(mut.mirror, by="test").selections
    assert {each.keep for each in selections} == {2}
    trust(mut, sample_upstream)
    mut.sync_now()
    assert before
    assert before <= mut.versions()


def test_nothing_syncs_by_itself_until_someone_has_looked(lost):
    mut = lost()
    assert Mirror(mut.mirror.settings).settings.schedule.enabled
    rebuild(mut.mirror, by="test")
    assert not mut.mirror.schedule.get().enabled
    assert mut.mirror.schedule.next_run() is None


def test_a_rollback_holds_its_channel_still(lost, mut, sample_upstream):
    sample_upstream.add_version()
    sample_upstream.write()
    mut.sync_now()
    mut.mirror.channels.rollback("stable", by="test")
    [hold] = mut.mirror.channels.pins("stable")
    lost()
    rebuild(mut.mirror, by="test")
    [again] = mut.mirror.channels.pins("stable")
    assert again.reason == hold.reason
    assert mut.sync_now().status == "held"


def test_a_pin_that_was_made_is_told(lost, mut, sample_upstream):
    version = min(v for p, v in mut.versions() if ":24.04:" in p)
    sample_upstream.add_version()
    sample_upstream.write()
    mut.sync_now()
    mut.mirror.channels.pin("stable", ["release=noble"], version, by="test")
    lost()
    notes = rebuild(mut.mirror, by="test").notes
    assert any(f"pinned release=noble to {version}" in note for note in notes)


def test_a_source_that_nothing_came_from_is_named(lost, mut, sample_upstream, tmp_path, serve):
    from mirror.testing.sample import SampleUpstream

    other = SampleUpstream.create(tmp_path / "other", key=sample_upstream.key)
    other.write()
    mut.add_source(other, serve(other.root).url, name="second", priority=-5)
    mut.select("release=noble", keep=2)
    mut.sync_now()
    lost()
    report = rebuild(mut.mirror, by="test")
    assert [each.name for each in report.sources] == ["main"]
    assert report.gone == ("second",)


def test_the_report_says_what_is_lost_and_the_audit_log_begins_with_it(lost, mut):
    mut.mirror.tokens.create("a", Role.ADMIN, by="test")
    lost()
    report = rebuild(mut.mirror, by="ops@host")
    assert any("tokens" in each for each in report.lost)
    assert mut.mirror.tokens.list() == []
    assert [each.action for each in mut.mirror.audit.list()] == ["catalog.rebuild", "schedule.set"]


# --- with care ------------------------------------------------------------------------------------


def test_a_damaged_file_is_moved_aside_and_kept(lost):
    mut = lost()
    damaged = b"not a database at all" * 1000
    (mut.root / "catalog.sqlite").write_bytes(damaged)
    (mut.root / "catalog.sqlite-wal").write_bytes(b"wal")
    aside = rebuild(mut.mirror, by="test").aside
    assert (mut.root / aside).read_bytes() == damaged
    assert (mut.root / f"{aside}-wal").read_bytes() == b"wal"
    assert inspect(mut.mirror.dir).problem == ""
    assert not list(mut.root.glob(".catalog*"))


def test_a_whole_catalogue_is_not_rebuilt(lost, mut):
    with pytest.raises(CatalogWhole):
        rebuild(mut.mirror, by="test")
    assert [each.name for each in mut.mirror.sources.list()] == ["main"]


def test_an_empty_one_that_someone_made_by_mistake_is(lost):
    mut = lost()
    sqlite3.connect(mut.root / "catalog.sqlite").close()
    (mut.root / "catalog.sqlite").touch()
    assert [each.name for each in rebuild(mut.mirror, by="test").sources] == ["main"]


def test_not_while_a_sync_runs(lost):
    mut = lost()
    with content_lock(mut.root), pytest.raises(Busy):
        rebuild(mut.mirror, by="test")


def test_a_dry_run_changes_nothing(lost):
    mut = lost()
    before = sorted(path.name for path in mut.root.iterdir())
    assert rebuild(mut.mirror, dry_run=True, by="test").selections
    assert sorted(path.name for path in mut.root.iterdir()) == before


def test_a_snapshot_that_is_damaged_too_is_passed_over_and_named(lost, mut, sample_upstream):
    sample_upstream.add_version()
    sample_upstream.write()
    mut.sync_now()
    first = mut.mirror.store.snapshots.ids()[0]
    lost()
    file = mut.root / "snapshots" / f"{first}.json.zst"
    file.chmod(0o644)
    file.write_bytes(b"rubbish")
    report = rebuild(mut.mirror, by="test")
    assert any(first in note for note in report.notes)
    assert report.selections


def test_evidence_that_is_damaged_is_not_believed(lost, mut):
    [snapshot_id] = mut.mirror.store.snapshots.ids()
    state = mut.mirror.store.snapshots.load(snapshot_id).sources["main"]
    path, ref = next((p, r) for p, r in state.files.items() if "index" not in p)
    before = remembered(mut)
    lost()
    blob = mut.mirror.store.blobs.path(ref.sha256)
    blob.chmod(0o644)
    blob.write_bytes(b"x" + blob.read_bytes()[1:])
    report = rebuild(mut.mirror, by="test")
    assert any(path in note and "damaged" in note for note in report.notes)
    after = remembered(mut)
    assert len(after) == len(before) - 1
    assert after.items() <= before.items()


# --- a copy, while it is used ---------------------------------------------------------------------


def test_a_backup_is_of_one_instant_whole_and_private(mut, tmp_path):
    mut.mirror.sources.add(BootSource("one", "http://one.example/", trust="none"), by="test")
    copy = tmp_path / "copy.sqlite"
    copy.write_bytes(b"an older copy")
    back_up(mut.mirror.dir, copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    mut.mirror.sources.remove("one", by="test")
    mut.mirror.close()
    delete(mut.root)

    copy.rename(mut.root / "catalog.sqlite")

    assert [each.name for each in mut.mirror.sources.list()] == ["one"]
    assert inspect(mut.mirror.dir).problem == ""


def test_no_backup_is_made_of_nothing(lost, tmp_path):
    mut = lost()
    with pytest.raises(CatalogMissing):
        back_up(mut.mirror.dir, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_on_the_command_line(lost, cli):
    mut = lost()
    listed = cli("source", "list")
    assert listed.status == 1
    assert "MIR-510" in listed.err
    assert "mirror catalog rebuild" in listed.err
    assert cli("catalog", "rebuild", "--dry-run", "--json").json()["aside"] == ""
    rebuilt = cli("catalog", "rebuild")
    assert rebuilt.status == 0, rebuilt.err
    assert "+ source main: " in rebuilt.out
    assert "lost: tokens" in rebuilt.out
    assert cli("catalog", "show", "--json").json()["rows"]["sources"] == 1
    assert cli("catalog", "backup", str(mut.root.parent / "b.sqlite")).status == 0
    again = cli("catalog", "rebuild")
    assert (again.status, "MIR-511" in again.err) == (1, True)
    (mut.root / "catalog.sqlite").write_bytes(b"\0rubbish" * 999)
    assert cli("catalog", "show").status == 4
    assert "MIR-512" in cli("source", "list").err
