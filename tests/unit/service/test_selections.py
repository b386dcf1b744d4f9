"""The verbs of selections, against a real source."""

from __future__ import annotations

import msgspec
import pytest

from mirror.errors import AlreadyExists, FilterInvalid, NotFound, NothingSelected, SelectionInvalid
from mirror.model import Selection
from mirror.testing.sample import SampleUpstream

NOBLE = Selection(0, os="ubuntu", release="noble", arches=("amd64",), subarches=("ga-*",))


@pytest.fixture
def served(mut, sample_upstream, serve):
    served = serve(sample_upstream.root)
    mut.add_source(sample_upstream, served.url)
    return served


def add(mut, selection: Selection) -> Selection:
    return mut.mirror.selections.add(selection, by="test")


def quiet(_: object) -> None:
    """Say nothing."""


async def preview(mut, selection: Selection):
    return await mut.mirror.selections.preview(selection, quiet)


@pytest.mark.parametrize(
    ("selection", "error"),
    [
        (Selection(0), SelectionInvalid),
        (Selection(0, labels=("stable",)), SelectionInvalid),
        (Selection(0, (" ",), arches=("",)), SelectionInvalid),
        (Selection(0, os="ubuntu", keep=0), SelectionInvalid),
        (Selection(0, os="ubuntu", keep=10**9), SelectionInvalid),
        (Selection(0, ("release~(",)), FilterInvalid),
        (Selection(0, ("release",)), FilterInvalid),
        (Selection(0, os="ubuntu", source="nobody"), NotFound),
    ],
)
async def test_what_makes_no_sense_is_refused(mut, served, selection, error):
    with pytest.raises(error):
        add(mut, selection)
    with pytest.raises(error):
        await preview(mut, selection)
    assert mut.mirror.selections.list() == []
    assert served.requests == []


def test_a_selection_is_stored_tidily_and_once(mut):
    added = add(mut, Selection(0, (" arch=amd64 ", ""), os=" ubuntu", arches=("amd64", " ")))
    assert added == Selection(1, ("arch=amd64",), os="ubuntu", arches=("amd64",))
    with pytest.raises(AlreadyExists, match="selection 1 takes just this already"):
        add(mut, msgspec.structs.replace(added, id=7))
    assert add(mut, msgspec.structs.replace(added, keep=3)).id == 2


def test_a_selection_can_be_changed_and_the_change_is_in_the_audit_log(mut):
    first = add(mut, NOBLE)
    other = add(mut, Selection(0, os="centos"))
    changed = msgspec.structs.replace(first, keep=5, arches=("arm64",))
    assert mut.mirror.selections.update(changed, by="me") == changed
    assert mut.mirror.selections.get(1) == changed
    assert mut.mirror.selections.update(changed, by="me") == changed  # to what it is: no clash
    with pytest.raises(AlreadyExists):
        mut.mirror.selections.update(msgspec.structs.replace(other, id=1), by="me")
    with pytest.raises(NotFound):
        mut.mirror.selections.update(msgspec.structs.replace(changed, id=9), by="me")
    entry = next(
        entry for entry in mut.mirror.catalog.audit.page() if entry.action == "selection.update"
    )
    assert (entry.actor, entry.subject) == ("me", "1")
    assert msgspec.json.decode(entry.after)["keep"] == 5


async def test_a_preview_counts_what_the_sync_then_fetches(mut, served):
    seen = await preview(mut, NOBLE)
    assert mut.mirror.selections.list() == []
    add(mut, NOBLE)
    result = await mut.sync()
    assert (seen.files, seen.bytes) == (len(result.to_fetch), result.bytes_to_fetch)
    assert seen.added == result.added
    assert (seen.dropped, seen.sources) == ((), ())


async def test_a_preview_is_what_comes_besides_what_comes_anyway(mut, served, sample_upstream):
    """The two kernels of a release share its root file system, and the bootloaders come once."""
    add(mut, NOBLE)
    hwe = Selection(0, os="ubuntu", release="noble", arches=("amd64",), subarches=("hwe-*",))
    before = await preview(mut, hwe)
    assert before.files == 4  # a kernel and an initrd, twice
    await mut.sync()
    sample_upstream.add_version(only="amd64:ga")
    sample_upstream.write()
    assert await preview(mut, hwe) == before
    assert {each.split(":")[-1].split()[0] for each in before.added} == {"hwe-24.04"}
    same = await preview(mut, Selection(0, ("os=ubuntu", "release=noble", "arch=amd64"), keep=1))
    assert same.files == 2  # the newest hwe kernel
    assert (await preview(mut, Selection(0, os="windows"))).files == 0


async def test_a_preview_of_a_change_says_what_would_go(mut, served):
    added = add(mut, NOBLE)
    await mut.sync()
    arm = await preview(mut, msgspec.structs.replace(added, arches=("arm64",)))
    assert {each.split(":")[-2] for each in arm.added} == {"arm64"}
    assert {each.split(":")[-2] for each in arm.dropped} == {"amd64"}
    fewer = await preview(mut, msgspec.structs.replace(added, bootloaders=False))
    assert (fewer.files, fewer.added, len(fewer.dropped)) == (0, (), 8)


async def test_each_source_is_read_once_and_nothing_is_remembered(mut, served):
    add(mut, NOBLE)
    await mut.sync()
    served.requests.clear()
    await preview(mut, Selection(0, os="centos"))
    paths = served.paths()
    assert len(paths) == len(set(paths))
    assert all(path.startswith("/streams/v1/") for path in paths)
    assert (await mut.sync()).status == "unchanged"


async def test_a_source_that_can_t_be_reached_is_not_counted_and_named(
    mut, served, sample_upstream, free_port
):
    mut.add_source(sample_upstream, f"http://127.0.0.1:{free_port}/", name="gone")
    seen = await preview(mut, NOBLE)
    assert seen.files > 0
    assert [(each.about, each.code) for each in seen.sources] == [("gone", "MIR-401")]


async def test_without_a_source_there_is_nothing_to_look_at(mut):
    with pytest.raises(NothingSelected):
        await preview(mut, NOBLE)


async def test_bootloaders_are_refused_only_if_every_selection_of_a_source_does(
    mut, served, signing_key, tmp_path, serve
):
    other = SampleUpstream.create(tmp_path / "other", key=signing_key)
    mut.add_source(other, serve(other.root).url, name="other", priority=-1)
    bare = msgspec.structs.replace(NOBLE, bootloaders=False)
    add(mut, bare)
    await mut.sync()
    assert {product for product, _ in mut.versions()} == {"v3:boot:24.04:amd64:ga-24.04"}
    add(mut, Selection(0, os="centos", source="other"))
    await mut.sync()
    loaders = {
        (item.product.split(":")[1], item.source)
        for item in mut.mirror.snapshots.show("stable").items
        if item.path.startswith("bootloaders/")
    }
    assert loaders == {("1", "other")}
