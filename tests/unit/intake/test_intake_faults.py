"""What may happen while an image comes in: others change it, gc runs, outputs can't be written."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from datetime import timedelta

import pytest
from image_helpers import CENTOS, order

from mirror.errors import BodyInvalid, Busy, ImageFileUnusable, ImageRefused, LicenceFixed
from mirror.images.declaration import Declaration, declared
from mirror.images.records import find_image
from mirror.intake import keep, take
from mirror.intake.build import build_to
from mirror.intake.look import judged_names
from mirror.intake.order import Building
from mirror.model import Licence

NAMED = Declaration(os="centos", release="centos8")


def held(images):
    return find_image(images.mut.mirror.catalog, CENTOS)


def during(monkeypatch, what):
    """Do something while an image is looked into, once."""
    real, done = take.look_into, []

    async def look_into(*args, **more):
        found = await real(*args, **more)
        if not done:
            done.append(await asyncio.to_thread(what))
        return found

    monkeypatch.setattr(take, "look_into", look_into)
    return done


def test_a_licence_given_meanwhile_is_not_taken_back(images, monkeypatch):
    images.take(images.file("a"), licence=Licence.FREE)
    own = images.mut.mirror.custom_images
    during(monkeypatch, lambda: own.update(NAMED, licence=Licence.PROPRIETARY, by="op"))
    taken = images.take(images.file("b"))
    assert taken.declaration.licence is Licence.PROPRIETARY
    assert held(images).declaration.licence is Licence.PROPRIETARY
    for item in taken.version.items:
        assert images.mut.mirror.store.restricted.needed(item.sha256) == "proprietary"
    store = images.mut.mirror.store
    published = store.snapshots.load(store.channels.current("stable")).files
    own_files = [ref for path, ref in published.items() if path.startswith("custom/centos/")]
    assert own_files
    assert all(ref.licence == "proprietary" for ref in own_files)


def test_an_upload_that_was_declared_free_before_there_was_an_image(images, mut):
    """The rest of it comes when an operator has put in what is not free."""
    uploads = mut.mirror.uploading.uploads
    data = images.file("b").read_bytes()
    metadata = {"name": "centos/centos8", "licence": "free"}
    upload = mut.mirror.uploading.begin(len(data), metadata, by="ci", licence_stays=True)
    images.take(images.file("a"), licence=Licence.PROPRIETARY)
    uploads.data(upload.id).write_bytes(data)
    upload = mut.mirror.uploading.finish(upload)
    with pytest.raises(LicenceFixed):
        asyncio.run(mut.mirror.syncs.run_queued(upload.job))
    assert held(images).declaration.licence is Licence.PROPRIETARY
    assert len(held(images).versions) == 1


def test_a_version_kept_meanwhile_is_not_lost_by_the_same_file_again(images, monkeypatch):
    """It was looked for, then another version came, and what was known was written over it."""
    first, second = images.file("a"), images.file("b")
    images.take(first)
    real, came = keep.change_image, []

    def change_image(catalog, product, change):
        if not came:
            came.append(1)
            lock = images.mut.root / keep.IMAGES_LOCK
            assert lock.exists()
            with pytest.raises(Busy), keep.file_lock(lock, wait=False):
                pass
        return real(catalog, product, change)

    monkeypatch.setattr(keep, "change_image", change_image)
    images.take(first, title="Another title")
    assert came
    images.take(second)
    assert len(held(images).versions) == 2


def test_gc_leaves_what_a_job_is_to_take_and_what_is_at_work(images, mut):
    file = images.file()
    data = file.read_bytes()
    uploading = mut.mirror.uploading
    waiting = uploading.begin(len(data), {"name": "centos/centos8"}, by="ci")
    begun = uploading.begin(len(data), {"name": "custom/never-sent"}, by="ci")
    uploading.uploads.data(waiting.id).write_bytes(data)
    waiting = uploading.finish(waiting)
    for each in (waiting, begun):
        os.utime(uploading.uploads.folder(each.id), (0, 0))
    with mut.mirror.store.incoming.scratch() as scratch:
        os.utime(scratch, (0, 0))
        mut.mirror.storage.gc(grace=timedelta(0))
        assert scratch.is_dir()
        dead = scratch.with_name("scratch-of-one-that-was-killed")
        dead.mkdir()
        os.utime(dead, (0, 0))
        mut.mirror.storage.gc(grace=timedelta(0))
        assert not dead.exists()
    assert not uploading.uploads.folder(begun.id).exists()
    assert asyncio.run(mut.mirror.syncs.run_queued(waiting.job))
    assert held(images).versions
    os.utime(uploading.uploads.folder(waiting.id), (0, 0))
    mut.mirror.storage.gc(grace=timedelta(0))
    assert not uploading.uploads.folder(waiting.id).exists()


def test_gc_of_blobs_of_a_version_that_nothing_publishes(images, mut):
    taken = images.take(images.file(), publish=False)
    for item in taken.version.items:
        os.utime(mut.mirror.store.blobs.path(item.sha256), (0, 0))
    mut.mirror.storage.gc(grace=timedelta(0))
    assert all(mut.mirror.store.blobs.has(item.sha256) for item in taken.version.items)


@pytest.mark.parametrize("title", ["a\x1b[2Jb", "a\x07", "\u202etxt", "t" * 201])
def test_a_title_that_steers_a_terminal(images, title):
    images.take(images.file())
    with pytest.raises(BodyInvalid):
        images.mut.mirror.custom_images.update(NAMED, title=title, by="op")
    assert held(images).declaration.title == ""


def build(images, output, source):
    wanted = order(source, building=Building())
    mirror = images.mut.mirror
    return asyncio.run(
        build_to(
            output,
            wanted,
            settings=mirror.settings,
            plugins=mirror.plugins,
            emit=lambda event: None,
        )
    )


def test_outputs_that_are_refused_before_anything_is_done(images, tmp_path):
    source = images.file()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    link = tmp_path / "link"
    link.symlink_to(source)
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nothing")
    for output, said in (
        (tmp_path / "no" / "where", "there is no directory"),
        (fifo, "no plain file"),
        (tmp_path, "no plain file"),
        (dangling, "no plain file"),
        (source, "is to be made from"),
        (link, "is to be made from"),
    ):
        before = sorted(tmp_path.iterdir())
        with pytest.raises(ImageFileUnusable, match=said):
            build(images, output, source)
        assert sorted(tmp_path.iterdir()) == before


def test_what_is_declared_has_no_control_characters_in_its_name(images):
    said = declared(order(images.file(), "custom/a\x1b[2J").wanted)
    [finding] = [each for each in judged_names(said) if each.code == "image-name-characters"]
    assert finding.message.isprintable()


def sent(images, mut):
    """Return an upload of which every byte has come, and its job is queued."""
    data = images.file().read_bytes()
    upload = mut.mirror.uploading.begin(len(data), {"name": "centos/centos8"}, by="ci")
    mut.mirror.uploading.uploads.data(upload.id).write_bytes(data)
    return mut.mirror.uploading.finish(upload)


@pytest.mark.parametrize("where", ["look_into", "keep_image", "change_image"])
def test_a_server_that_is_killed_while_it_takes_an_upload_in(images, mut, where, tmp_path):
    """Nothing has to be sent again: whoever asks for the upload has it taken in."""
    upload = sent(images, mut)
    program = textwrap.dedent(f"""
        import asyncio, os, signal
        from mirror.intake import keep, take
        from mirror.service import Mirror
        from mirror.settings import Settings, StoreSettings

        def die(*args, **more):
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(keep if {where!r} == "change_image" else take, {where!r}, die)
        settings = Settings(data_dir={str(mut.root)!r}, store=StoreSettings(min_free=0))
        with Mirror.open(settings) as mirror:
            asyncio.run(mirror.syncs.run_queued({upload.job}))
    """)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr.decode()
    assert mut.mirror.jobs.get(upload.job).state == "interrupted"
    again = mut.mirror.uploading.finish(upload)
    assert again.job != upload.job
    assert mut.mirror.uploading.finish(again).job == again.job
    assert asyncio.run(mut.mirror.syncs.run_queued(again.job))
    assert mut.mirror.jobs.get(again.job).state == "succeeded"
    [version] = held(images).versions
    assert mut.mirror.store.blobs.has(version.root.sha256)
    assert not mut.mirror.uploading.uploads.data(upload.id).exists()


def test_an_upload_of_what_is_there_already_takes_no_room(images, mut):
    images.take(images.file())
    upload = sent(images, mut)
    assert asyncio.run(mut.mirror.syncs.run_queued(upload.job))
    assert len(held(images).versions) == 1
    assert mut.mirror.uploading.uploads.waiting_bytes() == 0


def test_an_upload_that_was_refused_is_not_taken_in_again(images, mut):
    upload = mut.mirror.uploading.begin(5, {"name": "centos/centos8"}, by="ci")
    mut.mirror.uploading.uploads.data(upload.id).write_bytes(b"hello")
    upload = mut.mirror.uploading.finish(upload)
    with pytest.raises(ImageRefused):
        asyncio.run(mut.mirror.syncs.run_queued(upload.job))
    assert mut.mirror.uploading.finish(upload).job == upload.job
    mut.mirror.uploading.remove(upload)
    assert mut.mirror.uploading.uploads.waiting_bytes() == 0
