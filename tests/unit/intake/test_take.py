"""Custom images come in: checked, kept, published; or refused, and nothing is left."""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct

import pytest
from image_helpers import CENTOS, Images, order

from mirror.errors import (
    DigestMismatch,
    ImageFileUnusable,
    ImageNameRefused,
    ImageRefused,
    ImageTooLarge,
    ImageTypeWrong,
    NoSpace,
    SizeMismatch,
)
from mirror.model import Licence, Severity


def versions(images: Images) -> list[str]:
    return [version for product, version in sorted(images.mut.versions()) if product == CENTOS]


def nothing_came(images: Images) -> None:
    assert images.left() == []
    assert images.mut.mirror.custom_images.list() == []
    assert images.mut.mirror.store.channels.current("stable") is None


def test_an_image_is_kept_checked_and_published(images):
    file = images.file()
    taken = images.take(file, title="My CentOS")
    assert taken.is_new
    assert taken.published.status == "published"
    assert taken.published.added == (f"{CENTOS} {taken.version.name}",)
    published = images.mut.published()
    folder = f"custom/centos/centos8/amd64/generic/{taken.version.name}"
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert published[f"{folder}/root.tgz"] == (sha256, file.stat().st_size)
    assert f"{folder}/manifest" in published
    assert images.left() == []
    assert file.exists()
    [resource] = images.mut.mirror.images.each_resource("stable")
    assert (resource.source, resource.title) == ("custom", "My CentOS, amd64/generic")
    assert resource.versions[0].judge.startswith("custom_images=")
    assert resource.versions[0].findings == taken.version.findings
    [entry] = [e for e in images.mut.mirror.audit.list() if e.action == "image.add"]
    assert (entry.actor, entry.subject) == ("test", f"{CENTOS} {taken.version.name}")


def test_the_same_file_again_is_nothing_new(images):
    file = images.file()
    first = images.take(file)
    snapshot = images.mut.mirror.store.channels.current("stable")
    again = images.take(file)
    assert not again.is_new
    assert again.version == first.version
    assert images.mut.mirror.store.channels.current("stable") == snapshot


def test_the_same_file_with_another_title_is_described_anew(images):
    images.take(images.file(), title="Old")
    again = images.take(images.file(), title="New")
    assert not again.is_new
    [resource] = images.mut.mirror.images.each_resource("stable")
    assert resource.title == "New, amd64/generic"
    assert len(versions(images)) == 1


def test_another_file_is_another_version_and_the_newest_are_held(images):
    names = [images.take(images.file(seed)).version.name for seed in "abcd"]
    assert names == sorted(set(names))
    assert [n.partition(".")[2] for n in names] == ["", "01", "02", "03"]
    [image] = images.mut.mirror.custom_images.list()
    assert [each.name for each in image.versions] == names[1:]
    assert set(versions(images)) == set(names[1:])


def test_as_many_are_held_as_the_image_says(images):
    for seed in "abc":
        images.take(images.file(seed), keep=1)
    [image] = images.mut.mirror.custom_images.list()
    assert (image.keep, len(image.versions)) == (1, 1)


def test_a_file_is_read_once_and_may_go(images):
    file = images.file()
    taken = images.take(file)
    blob = images.mut.mirror.store.blobs.path(taken.version.root.sha256)
    assert blob.stat().st_ino != file.stat().st_ino
    file.write_bytes(b"something else")
    assert hashlib.sha256(blob.read_bytes()).hexdigest() == taken.version.root.sha256


def test_two_at_once_become_versions_one_after_the_other(images):
    async def both():
        return await asyncio.gather(
            images.taking(order(images.file("a"), publish=False)),
            images.taking(order(images.file("b"), publish=False)),
        )

    first, second = asyncio.run(both())
    assert first.version.name != second.version.name
    [image] = images.mut.mirror.custom_images.list()
    assert len(image.versions) == 2
    for version in image.versions:
        assert {item.path.split("/")[-2] for item in version.items} == {version.name}
    images.mut.sync_now(only=("custom",))
    assert len(images.mut.published()) == 4


def test_one_file_twice_at_once_is_one_version(images):
    async def both():
        return await asyncio.gather(
            *(images.taking(order(images.file("a"), publish=False)) for _ in range(2))
        )

    first, second = asyncio.run(both())
    assert {first.is_new, second.is_new} == {True, False}
    assert first.version == second.version


def test_the_licence_is_the_usual_one_unless_it_is_said(images):
    assert images.take(images.file()).declaration.licence is Licence.FREE
    file = images.file("b")
    taken = images.take(file, "centos/centos8", licence=Licence.SUBSCRIPTION)
    assert taken.declaration.licence is Licence.SUBSCRIPTION


def test_what_is_not_said_again_stays(images):
    images.take(images.file("a"), title="Ours", licence=Licence.PROPRIETARY)
    again = images.take(images.file("b")).declaration
    assert (again.title, again.licence) == ("Ours", Licence.PROPRIETARY)
    freed = images.take(images.file("b"), licence=Licence.FREE)
    assert (freed.is_new, freed.declaration.licence) == (False, Licence.FREE)


# --- refused, and nothing is left -----------------------------------------------------------------


def test_a_type_that_is_not_the_file_s(images):
    with pytest.raises(ImageTypeWrong) as caught:
        images.take(images.file(), ftype="root-dd.gz")
    assert "root-dd.gz (ddgz)" in caught.value.what
    assert "root-tgz (tgz)" in caught.value.what
    nothing_came(images)


def test_a_file_that_maas_can_t_take(images, tmp_path):
    iso = tmp_path / "rhel.iso"
    iso.write_bytes(bytes(32768) + b"\x01CD001\x01" + bytes(8192))
    with pytest.raises(ImageTypeWrong, match="it installs a system"):
        images.take(iso)
    nothing_came(images)


def test_a_file_that_is_nothing(images, tmp_path):
    file = tmp_path / "noise"
    file.write_bytes(b"hello" * 1000)
    with pytest.raises(ImageRefused, match="is no image"):
        images.take(file)
    nothing_came(images)


@pytest.mark.parametrize("name", ["rocky/9", "ubuntu/noble", "windows/win2022", "a/b/c"])
def test_a_name_that_maas_does_not_take(images, name):
    with pytest.raises(ImageNameRefused):
        images.take(images.file(), name)
    nothing_came(images)


def test_a_name_that_a_boot_source_has(images, sample_upstream, serve):
    sample_upstream.write()
    images.mut.add_source(sample_upstream, serve(sample_upstream.root).url)
    images.mut.select("os=centos")
    images.mut.sync_now()
    taken = {(each.os, each.release) for each in images.mut.mirror.images.available().items}
    os, release = next(each for each in sorted(taken) if each[0] == "centos")
    with pytest.raises(ImageNameRefused, match="boot source 'main' provides"):
        images.take(images.file(), f"{os}/{release}")


def test_a_digest_or_size_that_is_not_the_file_s(images):
    file = images.file()
    with pytest.raises(DigestMismatch):
        images.take(file, sha256="0" * 64)
    with pytest.raises(SizeMismatch):
        images.take(file, size=5)
    nothing_came(images)
    right = hashlib.sha256(file.read_bytes()).hexdigest()
    assert images.take(file, sha256=right.upper(), size=file.stat().st_size).is_new


def test_content_that_can_t_be_deployed_unless_it_is_taken_on(images):
    file = images.file()
    with pytest.raises(ImageRefused) as caught:
        images.take(file, arch="arm64/generic")
    nothing_came(images)
    codes = {word.strip("[];)(") for word in caught.value.what.split() if "[custom-" in word}
    taken = images.take(file, arch="arm64/generic", accept=tuple(codes))
    accepted = [each for each in taken.version.findings if each.code in codes]
    assert {each.severity for each in accepted} == {Severity.WARNING}
    assert set(taken.version.accepted) == codes
    assert taken.published.status == "published"
    # the sync does not look at it again, nor leave it out
    assert images.mut.sync_now().left_out == ()


def test_what_is_too_large(images, settings):
    file = images.file()
    small = settings.images.model_copy(update={"max_size": 1000})
    images.mut.mirror.settings = settings.model_copy(update={"images": small})
    with pytest.raises(ImageTooLarge, match="1,000"):
        images.take(file)
    nothing_came(images)


def test_the_quota(images, settings):
    one = images.file("a")
    quota = settings.images.model_copy(update={"quota": one.stat().st_size * 3 // 2})
    images.mut.mirror.settings = settings.model_copy(update={"images": quota})
    images.take(one)
    with pytest.raises(ImageTooLarge, match="quota"):
        images.take(images.file("b"))
    assert images.left() == []


def test_a_disk_that_is_too_full(images, settings):
    full = settings.store.model_copy(update={"min_free": 2**62})
    images.mut.mirror.settings = settings.model_copy(update={"store": full})
    with pytest.raises(NoSpace):
        images.take(images.file())
    nothing_came(images)


def test_what_is_no_plain_file(images, tmp_path):
    with pytest.raises(ImageFileUnusable, match="no plain file"):
        images.take(tmp_path)
    with pytest.raises(ImageFileUnusable, match="No such file"):
        images.take(tmp_path / "missing")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(ImageFileUnusable, match="no plain file"):
        images.take(fifo)
    nothing_came(images)


def test_a_truncated_image(images):
    file = images.file()
    file.write_bytes(file.read_bytes()[:-3000])
    with pytest.raises(ImageRefused):
        images.take(file)
    nothing_came(images)


def test_a_source_can_t_be_called_as_they_are(cli):
    ran = cli("source", "add", "custom", "http://127.0.0.1:1/", "--trust", "none")
    assert ran.status == 2
    assert "your own images" in ran.err


# --- from elsewhere -------------------------------------------------------------------------------


def test_an_upload_is_moved_not_copied(images, mut):
    from mirror.uploads.upload import Uploads

    file = images.file()
    data = file.read_bytes()
    uploads = Uploads(mut.mirror.dir.incoming, mut.mirror.settings.store.grace)
    metadata = {"name": "centos/centos8", "title": "Sent", "filename": "x.tgz"}
    upload = uploads.create(len(data), metadata, sha256="", by="token ci")
    uploads.data(upload.id).write_bytes(data)
    inode = uploads.data(upload.id).stat().st_ino
    number = mut.mirror.custom_images.queue_upload(upload)
    assert asyncio.run(mut.mirror.syncs.run_queued(number))
    job = mut.mirror.jobs.get(number)
    assert (job.kind, job.state, job.by) == ("image", "succeeded", "token ci")
    [image] = mut.mirror.custom_images.list()
    assert image.declaration.title == "Sent"
    blob = mut.mirror.store.blobs.path(image.versions[-1].root.sha256)
    assert blob.stat().st_ino == inode
    assert not uploads.data(upload.id).exists()


def test_the_runner_s_job_of_a_bad_image_fails_and_says_why(images, mut, tmp_path):
    bad = tmp_path / "bad"
    bad.write_bytes(b"x" * 1000)
    job = mut.mirror.custom_images.queue(order(bad))
    with pytest.raises(ImageRefused):
        asyncio.run(mut.mirror.syncs.run_queued(job.id))
    ended = mut.mirror.jobs.get(job.id)
    assert (ended.state, ended.error.code) == ("failed", "MIR-904")
    nothing_came(images)


def test_what_an_upload_is_declared(mut):
    from mirror.errors import BodyInvalid

    own = mut.mirror.custom_images
    assert own.declared({"name": "rocky-9", "type": "tgz"}).ftype == "root-tgz"
    for bad in (
        {},
        {"name": "rocky-9", "colour": "red"},
        {"name": "rocky-9", "keep": "many"},
        {"name": "rocky-9", "licence": "mine"},
    ):
        with pytest.raises(BodyInvalid):
            own.declared(bad)
    with pytest.raises(ImageNameRefused):
        own.declared({"name": "ubuntu/noble"})
    with pytest.raises(ImageTypeWrong, match="zst"):
        own.declared({"name": "rocky-9", "type": "tar.zst"})


def test_a_copy_that_is_cancelled_stops_and_leaves_nothing(images, tmp_path):
    large = tmp_path / "large"
    entry = struct.pack("<B3sB3sII", 0, b"", 0x83, b"", 2048, 2**20)
    with large.open("wb") as file:
        file.write(bytes(446) + entry + bytes(48) + b"\x55\xaa")
        file.truncate(3 * 2**30)

    async def cancelled():
        task = asyncio.create_task(images.taking(order(large, "custom/a-disk")))
        while not any("copying" in str(event) for event in images.mut.events):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    nothing_came(images)
    [job] = images.mut.mirror.jobs.list()
    assert job.state == "cancelled"
    assert images.mut.mirror.jobs.log(job.id)[-1].message == "cancelled; nothing was taken in"
