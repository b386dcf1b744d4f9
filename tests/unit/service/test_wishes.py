"""A file of wishes: read strictly, compared, applied by the verbs, written back the same."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from harness import MirrorUnderTest

from mirror.errors import (
    ApplyIncomplete,
    ChannelHeld,
    ChannelNeeded,
    CredentialsInUrl,
    FilterInvalid,
    KeyringMissing,
    MirrorError,
    NameInvalid,
    NotFound,
    PreconditionFailed,
    SelectionInvalid,
    VersionNotHere,
    WindowInvalid,
    WishesInvalid,
)
from mirror.model import BootSource
from mirror.service.wish_file import (
    Wishes,
    read_wishes,
)
from mirror.service.wish_steps import FieldChange

WHOLE = """
[[selections]]
os = "ubuntu"
release = "noble"
arches = ["amd64"]

[[selections]]
release = "jammy"
keep = 1

[schedule]
interval = "2 h"
quiet = ["mon-fri 08:00-18:00"]

[sources.main]
url = "http://images.example/stable"
trust = "none"
priority = 5

[sources."site.b"]
url = "http://b.example/"
trust = "none"
max_staleness = "30 d"
"""


def apply(mut: MirrorUnderTest, text: str, base: Path | None = None) -> list[str]:
    """Apply a file and return what was changed, a word for each."""
    plan = mut.mirror.wishes.apply(read_wishes(text, base=base), by="test")
    return [f"{each.action} {each.kind} {each.name}".strip() for each in plan.changes]


def plan(mut: MirrorUnderTest, text: str):
    return mut.mirror.wishes.plan(read_wishes(text))


# --- applied by the verbs -------------------------------------------------------------------------


def test_a_file_becomes_the_mirror_and_again_changes_nothing(mut):
    assert apply(mut, WHOLE) == [
        "change schedule",
        "add source main",
        "add source site.b",
        "add selection",
        "add selection",
    ]
    assert mut.mirror.sources.get("site.b").max_staleness == timedelta(days=30)
    assert [each.release for each in mut.mirror.selections.list()] == ["noble", "jammy"]
    assert mut.mirror.schedule.get().quiet == ("mon-fri 08:00-18:00",)
    audited = len(mut.mirror.audit.list())

    assert apply(mut, WHOLE) == []
    assert len(mut.mirror.audit.list()) == audited


def test_each_change_is_in_the_audit_log_as_its_own_verb(mut):
    apply(mut, WHOLE)
    entries = mut.mirror.audit.list()
    assert [each.action for each in reversed(entries)] == [
        "schedule.set",
        "source.add",
        "source.add",
        "selection.add",
        "selection.add",
    ]
    assert {each.actor for each in entries} == {"test"}


def test_a_section_that_is_absent_is_left_alone(mut):
    apply(mut, WHOLE)
    assert apply(mut, "[schedule]\n") == ["change schedule"]
    assert len(mut.mirror.sources.list()) == 2
    assert len(mut.mirror.selections.list()) == 2


def test_a_section_that_is_there_is_all_of_it(mut):
    apply(mut, WHOLE)
    assert apply(mut, "selections = []\n[sources.main]\nurl = 'http://other/'\ntrust='none'") == [
        "change source main",
        "remove selection 1",
        "remove selection 2",
        "remove source site.b",
    ]
    assert mut.mirror.sources.get("main").priority == 0, "what the file leaves out is the default"
    assert mut.mirror.selections.list() == []


def test_a_change_is_shown_field_by_field(mut):
    apply(mut, WHOLE)
    [change] = plan(mut, WHOLE.replace("priority = 5", "priority = 7\nenabled = false")).changes
    assert change.fields == (
        FieldChange("priority", 5, 7),
        FieldChange("enabled", True, False),
    )


def test_a_selection_that_changes_keeps_its_number(mut):
    apply(mut, WHOLE)
    noble, jammy = mut.mirror.selections.list()
    changed = WHOLE.replace("keep = 1", "keep = 4").replace('["amd64"]', '["amd64", "arm64"]')
    assert apply(mut, changed) == [f"change selection {noble.id}", f"change selection {jammy.id}"]
    after = mut.mirror.selections.list()
    assert [(each.id, each.release) for each in after] == [(1, "noble"), (2, "jammy")]
    assert after[0].arches == ("amd64", "arm64")
    assert after[1].keep == 4


def test_the_same_selections_in_another_order_are_the_same(mut):
    apply(mut, "[[selections]]\nrelease='a'\n[[selections]]\nrelease='b'")
    assert apply(mut, "[[selections]]\nrelease='b'\n[[selections]]\nrelease='a'") == []


def test_paths_are_relative_to_the_file(mut, sample_upstream, tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "up.gpg").write_bytes(sample_upstream.keyring.read_bytes())
    text = "[sources.main]\nurl = 'http://x.example/'\nkeyring = 'keys/up.gpg'"
    assert apply(mut, text, base=tmp_path) == ["add source main"]
    assert mut.mirror.sources.get("main").keyring == str(tmp_path / "keys" / "up.gpg")
    assert apply(mut, text, base=tmp_path) == []


def test_a_source_that_names_its_key_by_fingerprint_stays_as_it_was_added(mut, sample_upstream):
    apply(mut, f"[sources.a]\nurl='http://a.example/'\nkeyring='{sample_upstream.keyring}'")
    fingerprint = sample_upstream.key.fingerprint
    text = f"""
[sources.a]
url = "http://a.example/"
keyring = "{sample_upstream.keyring}"
[sources.b]
url = "http://b.example/"
fingerprints = ["{fingerprint}"]
"""
    assert apply(mut, text) == ["add source b"]
    assert apply(mut, text) == []


# --- nothing is changed where something is wrong --------------------------------------------------

GOOD = "[sources.good]\nurl = 'http://good.example/'\ntrust = 'none'\n"


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("[sources.'a b']\nurl='http://x.example/'\ntrust='none'", NameInvalid),
        ("[sources.x]\nurl='http://me:pw@x.example/'\ntrust='none'", CredentialsInUrl),
        ("[sources.x]\nurl='http://x.example/'\nkeyring='/nowhere.gpg'", KeyringMissing),
        ("[sources.x]\nurl='gopher://x.example/'\ntrust='none'", MirrorError),
        ("[schedule]\nquiet = ['someday']", WindowInvalid),
        ("[[selections]]\nfilters = ['release']", FilterInvalid),
        ("[[selections]]\nrelease = 'noble'\nsource = 'nobody'", WishesInvalid),
        ("[[selections]]\nrelease = 'noble'\nkeep = 0", SelectionInvalid),
        ("[[selections]]\nkeep = 3", SelectionInvalid),
        ("[[selections]]\nos = 'a'\n[[selections]]\nos = ' a '", WishesInvalid),
        ("[channels.'../up']", NameInvalid),
        ("[[channels.stable.pins]]\nfilters = []\nversion = '1'", WishesInvalid),
        ("[[channels.stable.pins]]\nfilters = ['release']\nversion = '1'", FilterInvalid),
    ],
)
def test_every_value_is_looked_at_before_anything_is_changed(mut, bad, error):
    with pytest.raises(error):
        apply(mut, GOOD + bad)
    assert mut.mirror.sources.list() == []
    assert mut.mirror.audit.list() == []


def test_a_selection_can_name_a_source_that_the_same_file_adds(mut):
    text = GOOD + "[[selections]]\nrelease = 'noble'\nsource = 'good'"
    assert apply(mut, text) == ["add source good", "add selection"]


def test_a_source_that_a_selection_names_does_not_go_unseen(mut):
    apply(mut, GOOD + "[[selections]]\nrelease = 'noble'\nsource = 'good'")
    with pytest.raises(WishesInvalid, match="selection 1: there would be no boot source 'good'"):
        apply(mut, "sources = {}")
    assert apply(mut, "sources = {}\nselections = []") == [
        "remove selection 1",
        "remove source good",
    ]


def test_a_plan_that_is_not_the_one_that_was_shown_is_not_carried_out(mut):
    wishes = read_wishes(GOOD)
    shown = mut.mirror.wishes.plan(wishes)
    mut.mirror.sources.add(BootSource("other", "http://o.example/", trust="none"), by="someone")
    with pytest.raises(PreconditionFailed):
        mut.mirror.wishes.apply(wishes, expected=shown, by="test")
    assert [each.name for each in mut.mirror.sources.list()] == ["other"]


def test_what_fails_half_way_says_what_was_done(mut):
    """The disk is full after the second change: SQLite's own limit on the file's pages says so."""
    wishes = read_wishes(
        GOOD
        + "[sources.large]\nurl='http://l.example/'\ntrust='none'\nno_proxy='%s'" % ("x" * 99999)
    )
    database = mut.mirror.catalog.database
    [[pages]] = database.rows("PRAGMA page_count")
    database.rows(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(ApplyIncomplete) as failed:
        mut.mirror.wishes.apply(wishes, by="test")
    assert "add source large failed" in failed.value.what
    assert "1 of 2 changes were made before it: add source good" in failed.value.what
    assert [each.name for each in mut.mirror.sources.list()] == ["good"]

    database.rows("PRAGMA max_page_count = 1000000")
    done = mut.mirror.wishes.apply(wishes, by="test")
    assert [each.name for each in done.changes] == ["large"]


# --- channels -------------------------------------------------------------------------------------


@pytest.fixture
def published(mut, sample_upstream, serve):
    """Return a mirror whose channel `stable` has two versions of each product."""
    sample_upstream.write()
    mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    mut.select("release~(jammy|noble)")
    mut.sync_now()
    return mut


def version_of(mut: MirrorUnderTest) -> str:
    """Return the older of the versions that are published."""
    return min(v for p, v in mut.versions() if ":24.04:" in p)


def test_channels_come_wait_are_pinned_held_and_go(published):
    mut, old = published, version_of(published)
    text = f"""
[channels.stable]
[channels.site-a]
held = "until the audit"
[[channels.site-a.pins]]
filters = ["release=noble"]
version = "{old}"
"""
    assert apply(mut, text) == [
        "add channel site-a",
        "add pin site-a: release=noble",
        "add hold site-a",
    ]
    assert {v for p, v in mut.versions("site-a") if ":24.04:" in p} == {old}
    assert apply(mut, text) == []

    assert apply(mut, "[channels.stable]\n[channels.site-a]") == [
        "remove pin site-a: release=noble",
        "remove hold site-a",
    ]
    assert apply(mut, "[channels.stable]") == ["remove channel site-a"]


def test_a_hold_has_a_reason_and_it_may_change(published):
    apply(published, "[channels.stable]\nheld = 'one'")
    assert apply(published, "[channels.stable]\nheld = 'two'") == ["change hold stable"]
    assert [pin.reason for pin in published.mirror.channels.pins("stable")] == ["two"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[channels.other]", ChannelNeeded),
        ("[channels.stable]\n[channels.x]\nfrom = 'nobody'", NotFound),
        ("[[channels.stable.pins]]\nfilters=['release=noble']\nversion='1999'", VersionNotHere),
        ("[[channels.stable.pins]]\nfilters=['release=warty']\nversion='1999'", NotFound),
        (
            "[channels.stable]\n[[channels.x.pins]]\nfilters=['release=noble']\nversion='1999'",
            VersionNotHere,
        ),
    ],
)
def test_a_channel_that_can_not_be_is_refused_first(published, text, error):
    before = len(published.mirror.audit.list())
    with pytest.raises(error):
        apply(published, "[schedule]\nenabled = false\n" + text)
    assert len(published.mirror.audit.list()) == before


def test_a_held_channel_gets_no_pin_behind_its_back(published):
    apply(published, "[channels.stable]\nheld = 'x'")
    pin = f"[[channels.stable.pins]]\nfilters=['release=noble']\nversion='{version_of(published)}'"
    with pytest.raises(ChannelHeld):
        apply(published, f"[channels.stable]\nheld = 'x'\n{pin}")


def test_before_the_first_sync_other_channels_wait(mut):
    waits = plan(mut, "[channels.stable]\n[channels.site-a]")
    assert waits.changes == ()
    assert len(waits.waiting) == 1
    assert "site-a" in waits.waiting[0]


# --- the file -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[source.x]\nurl='a'", "line 1: source: there is no such key; did you mean 'sources'"),
        ("[sources.x]\n\nulr='a'", "line 3: sources.x.ulr: .*did you mean 'url'"),
        ("[sources.x]\nname='y'\nurl='a'", "line 2: sources.x.name: there is no such key"),
        ("[sources.x]", "line 1: sources.x: object missing required field `url`"),
        ("[sources.x]\nurl='a'\npriority='9'", "line 3: sources.x.priority: expected `int`"),
        ("[[selections]]\n[[selections]]\narch='x'", r"line 3: selections\[2\].arch: .*'arches'"),
        ("[[selections]]\nid=4", r"selections\[1\].id: there is no such key"),
        ("[selections]", "write each selection as a"),
        ("[[selections]]\narches='amd64'", r"line 2: selections\[1\].arches: expected `array`"),
        ("[schedule]\ninterval=3", "line 2: schedule.interval: 3 is not a duration"),
        ("[schedule]\ninterval='soon'", "'soon' is not a duration"),
        ("[channels.x]\nfrm='y'", "line 2: channels.x.frm: .*did you mean 'from'"),
        ("[channels.x]\n[[channels.x.pins]]\nverson='1'", r"channels.x.pins\[1\].verson.*version"),
        ("[sources.x]\nurl = ", "is not TOML"),
        ("sources = 1", "line 1: sources: write each as a table"),
        ("[sources]\nx = 1", "line 2: sources.x: it must be a table"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, says):
    with pytest.raises(WishesInvalid, match=says):
        read_wishes(text)


def test_an_empty_file_says_nothing(mut):
    apply(mut, WHOLE)
    assert read_wishes("") == Wishes()
    assert apply(mut, "") == []


def test_an_export_has_every_section(mut):
    assert read_wishes(mut.mirror.wishes.export()) == Wishes(
        sources=(), selections=(), channels={}, schedule=mut.mirror.schedule.get()
    )


def test_an_export_of_all_changes_nothing(published):
    mut = published
    apply(
        mut,
        f"""
[channels.stable]
[channels.b]
held = ""
[[channels.b.pins]]
filters = ["release=noble", "arch=amd64"]
version = "{version_of(mut)}"
""",
    )
    text = mut.mirror.wishes.export()
    assert apply(mut, text) == []
    assert mut.mirror.wishes.export() == text
