"""Custom images: the operator's own, put in, published, described and removed."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import msgspec

from mirror.errors import BodyInvalid, ImageNameRefused, ImagePinned, NotFound
from mirror.images.declaration import Declaration, Wanted, declared, product_name, product_of
from mirror.images.names import CUSTOM_SOURCE
from mirror.images.records import (
    CustomImage,
    all_images,
    change_image,
    find_image,
    without_version,
)
from mirror.model import JobState, Licence, Severity, utcnow

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mirror.intake.order import Taken, TakeOrder
    from mirror.jobs.presence import Presence
    from mirror.jobs.recording import Recorder
    from mirror.jobs.run import Work
    from mirror.model import Job
    from mirror.service.mirror import Mirror
    from mirror.sync.events import Emit
    from mirror.sync.result import SyncResult
    from mirror.sync.run import SyncOptions, Tools
    from mirror.uploads.upload import Upload

MOST_VERSIONS = 1000
"""That can be held of one image."""

_WHOLE = re.compile(r"[0-9]{1,6}")
_SHA256 = re.compile(r"([0-9a-f]{64})?")
_UPLOADED = {"name", "arch", "type", "title", "base_image", "licence", "keep", "accept", "publish"}
_IGNORED = {"sha256", "size", "filename", "filetype"}
"""What tus clients send along, or others look at."""


class CustomImages:
    """The custom images of one mirror."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    # --- what there is ----------------------------------------------------------------------------

    def list(self) -> builtins.list[CustomImage]:
        """Return every image that has a version, by product name."""
        return list(all_images(self._mirror.catalog))

    def get(self, declaration: Declaration) -> CustomImage:
        """Return the image of this os, release, arch and subarch, or raise `NotFound`."""
        image = find_image(self._mirror.catalog, product_name(declaration))
        if image is None or not image.versions:
            each = declaration
            raise NotFound(
                f"there is no custom image {each.name} for {each.arch}/{each.subarch}",
                remedy="`mirror image list` shows those that there are.",
            )
        return image

    def bytes_held(self) -> int:
        """Return the bytes of all versions of all images."""
        return sum(version.bytes for image in self.list() for version in image.versions)

    def blobs_held(self) -> Iterator[str]:
        """Yield the sha256 of every file that a version has: no gc may drop it."""
        for image in self.list():
            for version in image.versions:
                yield from (item.sha256 for item in version.items)

    def provider(self, os: str, release: str) -> str:
        """Name a boot source that provides an os and release already, or return ''."""
        offered = self._mirror.catalog.available.page("", MOST_VERSIONS, os=os, release=release)
        return next((each.source for each in offered.items if each.source != CUSTOM_SOURCE), "")

    # --- putting one in ---------------------------------------------------------------------------

    async def take(self, order: TakeOrder, emit: Emit) -> Taken:
        """Take an image in and publish it, in this process, as a job that others see.

        Raises what `intake.take_in` and a sync raise, and `Cancelled`.
        """
        from mirror.jobs.presence import Presence
        from mirror.jobs.run import run_job

        mirror = self._mirror
        with Presence(mirror.settings.data_dir) as presence:
            job = await asyncio.to_thread(self._add_held, order, presence)
            try:
                taken = await run_job(
                    mirror.tools(), job, emit, stopped=JobState.CANCELLED, work=self.work
                )
            finally:
                await asyncio.to_thread(mirror.announcer.job_ended, job.id)
        await mirror.syncs.tidy(taken.published)
        return taken

    def queue(self, order: TakeOrder) -> Job:
        """Ask for an image to be taken in, which `mirror serve` does; return its job."""
        added = self._mirror.catalog.jobs.add(_new_job(order))
        self._mirror.catalog.audit.record(order.by, "job.start", str(added.id), None, order)
        return added

    def queue_upload(self, upload: Upload, *, sha256: str = "") -> int:
        """Ask for an upload to be taken in that is whole; return the number of the job.

        `sha256` is its digest, where that is known. Raises what `declared` does.
        """
        from mirror.uploads.upload import Uploads

        uploads = Uploads(self._mirror.dir.incoming, self._mirror.settings.store.grace)
        order = self._order(upload.metadata, uploads.data(upload.id), by=upload.by)
        order = msgspec.structs.replace(
            order,
            ours=True,
            known=sha256,
            sha256=upload.sha256,
            size=upload.length,
            licence_stays=upload.licence_stays,
        )
        return self.queue(order).id

    def declared(self, metadata: Mapping[str, str]) -> Declaration:
        """Return what an upload is declared to be, as far as that can be told before it is here.

        Raises `BodyInvalid`, `ImageTypeWrong`, and `ImageNameRefused`.
        """
        return self.checked(self.wanted(metadata))

    def wanted(self, metadata: Mapping[str, str]) -> Wanted:
        """Return what an upload is to become, by what is said of it. Raises as `declared` does."""
        from pathlib import Path

        wanted = self._order(metadata, Path(), by="").wanted
        self.checked(wanted)
        return wanted

    def checked(self, wanted: Wanted) -> Declaration:
        """Return a declaration that MAAS's rules have nothing against; see `declared`."""
        from mirror.intake.look import errors_of, judged_names

        declaration = declared(wanted)
        provider = self.provider(declaration.os, declaration.release)
        errors = errors_of(judged_names(declaration, provider))
        if errors:
            raise ImageNameRefused("; ".join(each.message for each in errors))
        return declaration

    @property
    def work(self) -> Work[Taken]:
        """What a job does that takes an image in."""
        from mirror.jobs.run import Work

        return Work(self._take_and_publish, _end, "nothing was taken in")

    async def _take_and_publish(self, tools: Tools, recorder: Recorder, emit: Emit) -> Taken:
        from dataclasses import replace

        from mirror.intake.order import TakeOrder
        from mirror.intake.take import take_in
        from mirror.sync.run import run_sync

        recorder.set(JobState.RUNNING)
        order = msgspec.json.decode(recorder.job.options, type=TakeOrder)
        taken = await take_in(order, tools, self.provider, emit)
        if not order.publish:
            return taken
        options = _publishing(order.channel)
        published = await run_sync(replace(tools, job=recorder.job.id), options, emit)
        return msgspec.structs.replace(taken, published=published)

    def _add_held(self, order: TakeOrder, presence: Presence) -> Job:
        """Add a job that this process holds from its first instant: no server takes it."""
        from mirror.jobs.run import this_process

        self._mirror.jobs.sweep()
        job = msgspec.structs.replace(
            _new_job(order), state=JobState.WAITING, process=this_process()
        )
        added = self._mirror.catalog.jobs.add(job, claim=presence.take)
        self._mirror.catalog.audit.record(order.by, "job.start", str(added.id), None, order)
        return added

    def _order(self, metadata: Mapping[str, str], file: Path, *, by: str) -> TakeOrder:
        """Return the order that the metadata of an upload amounts to. Raises `BodyInvalid`."""
        from mirror.intake.look import read_type
        from mirror.intake.order import TakeOrder

        unknown = sorted(metadata.keys() - _UPLOADED - _IGNORED)
        if unknown:
            takes = ", ".join(sorted(_UPLOADED | {"sha256"}))
            raise BodyInvalid(f"an upload has no {unknown[0][:40]!r}; it has {takes}")
        if not metadata.get("name"):
            raise BodyInvalid("an upload needs a name: name=rhel/9")
        if not _SHA256.fullmatch(metadata.get("sha256", "").lower()):
            raise BodyInvalid("the sha256 of an upload is 64 hexadecimal digits")
        keep = metadata.get("keep", "0")
        if not _WHOLE.fullmatch(keep) or int(keep) > MOST_VERSIONS:
            raise BodyInvalid(f"{keep[:20]!r} is not how many versions to hold")
        return TakeOrder(
            file=str(file),
            wanted=Wanted(
                name=metadata["name"],
                arch=metadata.get("arch") or "amd64/generic",
                ftype=read_type(metadata.get("type", "")),
                title=metadata.get("title", ""),
                base_image=metadata.get("base_image", ""),
                licence=read_licence(metadata.get("licence", "")),
            ),
            channel=self._mirror.settings.sync.channel,
            by=by,
            keep=int(keep),
            accept=tuple(filter(None, metadata.get("accept", "").split(","))),
            publish=metadata.get("publish", "true") != "false",
        )

    # --- changing, removing, publishing -----------------------------------------------------------

    def update(
        self,
        declaration: Declaration,
        *,
        title: str | None = None,
        licence: Licence | None = None,
        keep: int | None = None,
        by: str,
    ) -> CustomImage:
        """Change what is given of an image, and return it; `keep` 0: as the settings say.

        Versions beyond `keep` go. Channels follow with the next sync, or `publish`. Raises
        `NotFound`, `BodyInvalid`.
        """
        from mirror.images.names import check_title
        from mirror.intake.keep import restrict

        if keep is not None and not 0 <= keep <= MOST_VERSIONS:
            raise BodyInvalid(f"an image can't hold {keep} versions")
        title = None if title is None else " ".join(title.split())
        for each in check_title(title or ""):
            raise BodyInvalid(each.message)
        usual = self._mirror.settings.images.keep

        def change(image: CustomImage | None) -> CustomImage:
            now = image or before
            said = now.declaration
            said = msgspec.structs.replace(
                said,
                title=said.title if title is None else title,
                licence=said.licence if licence is None else licence,
            )
            held = now.keep if keep is None else keep
            return msgspec.structs.replace(
                now, declaration=said, keep=held, versions=now.versions[-(held or usual) :]
            )

        with self._alone():
            before = self.get(declaration)
            after = change_image(self._mirror.catalog, before.product, change)
            for version in after.versions:
                restrict(after.declaration, version.items, self._mirror.store)
        if after != before:
            self._mirror.catalog.audit.record(by, "image.set", before.product, before, after)
        return after

    def remove(self, declaration: Declaration, version: str = "", *, by: str) -> CustomImage:
        """Remove a version of an image ('': all of it), and return what is left.

        Channels follow with the next sync, or `publish`; snapshots that have it stay as long as
        retention keeps them. Raises `NotFound`, and `ImagePinned` where a channel is pinned to it.
        """
        with self._alone():
            before = self.get(declaration)
            gone = {each.name for each in before.versions if version in {"", each.name}}
            self._refuse_pinned(before, gone)
            after = change_image(
                self._mirror.catalog,
                before.product,
                lambda image: without_version(image or before, version),
            )
        self._mirror.catalog.audit.record(by, "image.remove", before.product, before, after)
        return after

    async def publish(self, emit: Emit, *, by: str) -> SyncResult:
        """Bring the channel of the syncs up to date with these images alone; nothing is fetched.

        Raises what a sync raises: `NothingSelected` where nothing is left to publish.
        """
        options = _publishing(self._mirror.settings.sync.channel)
        return await self._mirror.syncs.run(options, emit, by=by, reason="image")

    def queue_publish(self, *, by: str) -> Job:
        """Ask for the same, which `mirror serve` does; return its job."""
        options = _publishing(self._mirror.settings.sync.channel)
        return self._mirror.jobs.start(options, by=by, reason="image")

    def _alone(self) -> AbstractContextManager[None]:
        """Let no version be kept meanwhile: that would go by what the image was before."""
        from mirror.intake.keep import IMAGES_LOCK
        from mirror.store.locks import file_lock

        return file_lock(self._mirror.dir.root / IMAGES_LOCK)

    def _refuse_pinned(self, image: CustomImage, gone: set[str]) -> None:
        from mirror.sync.pins import PinRules

        product = product_of(image.declaration)
        for channel in self._mirror.channels.pointers():
            pins = self._mirror.catalog.pins(channel)
            pinned = PinRules(pins, {}).version_of(product)
            if pinned in gone:
                raise ImagePinned(
                    f"channel {channel!r} is pinned to {image.declaration.name} {pinned}"
                )


def read_licence(word: str) -> Licence | None:
    """Return a licence by its name; None for ''. Raises `BodyInvalid`."""
    if not word:
        return None
    if word not in tuple(Licence):
        raise BodyInvalid(f"{word[:40]!r} is no licence; there are {', '.join(Licence)}")
    return Licence(word)


def _publishing(channel: str) -> SyncOptions:
    from mirror.sync.run import SyncOptions

    return SyncOptions(channel=channel, only=(CUSTOM_SOURCE,))


def _new_job(order: TakeOrder) -> Job:
    from mirror.model import Job
    from mirror.service.syncs import IMAGE_JOB

    raw = msgspec.Raw(msgspec.json.encode(order))
    return Job(kind=IMAGE_JOB, by=order.by, options=raw, created=utcnow())


async def _end(recorder: Recorder, taken: Taken) -> None:
    """Record what came of a job."""
    from mirror.sync.result import finding_words

    for finding in taken.version.findings if taken.is_new else ():
        if finding.severity is not Severity.NOTE:
            recorder.say(f"found: {finding_words(finding)}", finding.severity, last=True)
    for each in taken.published.left_out if taken.published else ():
        recorder.say(f"left out: {each.about}: {each.what} [{each.code}]", "warning", last=True)
    state = JobState.PARTIAL if taken.exit_status else JobState.SUCCEEDED
    await recorder.end(state, result=taken)
