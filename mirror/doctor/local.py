"""Checks of this machine: the data directory, its room, the key, schedule, channels."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mirror.doctor.images import image_checks
from mirror.doctor.plugins import plugin_checks
from mirror.doctor.report import Check, failed, ok, problem, warning
from mirror.errors import MirrorError
from mirror.model import JobState, utcnow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mirror.model import FileRef, Snapshot
    from mirror.service import Mirror

SAMPLE_BYTES = 64 << 20
SAMPLE_BLOBS = 20
"""How much of the published files is read again: a second's work, not a `mirror verify`."""

SOON = timedelta(days=14)
"""Less than this is left of a certificate, or a key: say so."""

OVERDUE = timedelta(minutes=15)
_GPG_TIMEOUT = 10


def local_checks(mirror: Mirror) -> list[Check]:
    """Look at all of it. Blocks for a few seconds at most."""
    looks: dict[str, Callable[[Mirror], Iterator[Check]]] = {
        "data directory": _data_dir,
        "gpg": _gpg,
        "key": _key,
        "plugins": plugin_checks,
        "schedule": _schedule,
        "channels": _channels,
        "images": image_checks,
        "certificate": _certificate,
    }
    return [check for name, look in looks.items() for check in _guarded(name, look, mirror)]


def _guarded(
    name: str, look: Callable[[Mirror], Iterator[Check]], mirror: Mirror
) -> Iterator[Check]:
    """What can't be looked at is a problem of that check; the others go on."""
    try:
        yield from look(mirror)
    except MirrorError as error:
        yield failed(name, error)
    except OSError as error:
        what = f"it can't be looked at: {error}"
        yield problem(name, what, "Run this as the user that the mirror runs as.")


def _data_dir(mirror: Mirror) -> Iterator[Check]:
    root, name = mirror.dir.root, "data directory"
    owner, me = root.stat().st_uid, os.getuid()
    unwritable = [
        each.name or str(each)
        for each in (root, mirror.dir.blobs, mirror.dir.incoming, mirror.dir.channels)
        if not os.access(each, os.W_OK)
    ]
    if unwritable:
        what = f"{root}: user {me} can't write to {', '.join(unwritable)}"
        yield problem(name, what, f"Run as the owner (user {owner}), or change the owner.")
    elif owner != me:
        what = f"{root} belongs to user {owner}; what user {me} makes there, that one can't change"
        yield warning(name, what, f"Run commands as the owner: `sudo -u '#{owner}' mirror ...`.")
    else:
        yield ok(name, f"{root} can be written to")
    if mode := mirror.dir.gnupg.stat().st_mode & 0o077:
        what = f"{mirror.dir.gnupg} is open to others (mode {mode:03o})"
        yield problem("key permissions", what, f"chmod 700 {mirror.dir.gnupg}")


def space_check(mirror: Mirror, to_fetch: int | None) -> Check:
    """Compare the free space with what the next sync would fetch (None: not known)."""
    from mirror.store.space import free_bytes

    free, keep = free_bytes(mirror.dir.incoming), int(mirror.settings.store.min_free)
    what = f"{free:,} bytes are free; a sync leaves {keep:,}"
    if to_fetch is not None:
        what += f", and the next one would fetch {to_fetch:,}"
    remedy = "Free space: `mirror gc --dry-run` says what could go; or select less."
    if free - (to_fetch or 0) < keep:
        return problem("space", what, remedy)
    return warning("space", what, remedy) if free < 2 * keep else ok("space", what)


def _gpg(_: Mirror) -> Iterator[Check]:
    try:
        done = _run("gpg", "--version")
    except (OSError, subprocess.SubprocessError) as error:
        yield problem("gpg", f"gpg does not run: {error}", "apt install gnupg")
        return
    said = done.stdout.decode(errors="replace").split("\n")[0]
    version = tuple(int(part) for part in said.rpartition(" ")[2].split(".") if part.isdigit())
    if version < (2, 2):
        yield problem("gpg", f"{said} is too old", "Install GnuPG 2.2 or newer.")
    else:
        yield ok("gpg", said)


def _key(mirror: Mirror) -> Iterator[Check]:
    from mirror.signing.keyring import keys_of

    [key] = keys_of(mirror.key.public_binary())
    if key.expires and key.expires - datetime.now(UTC) < SOON:
        what = f"the key {key.fingerprint} expires at {key.expires:%Y-%m-%d %H:%M} UTC"
        yield problem("key", what, "Every MAAS needs the next one before that day.")
        return
    text = b"the doctor was here\n"
    signed = mirror.key.clearsign(text)
    with tempfile.TemporaryDirectory(prefix="mirror-doctor-") as folder:
        keyring, message = Path(folder, "keyring.gpg"), Path(folder, "message.asc")
        keyring.write_bytes(mirror.key.public_binary())
        message.write_bytes(signed)
        try:
            done = _run("gpgv", "--keyring", str(keyring), "--output", "-", str(message))
        except (OSError, subprocess.SubprocessError) as error:
            what = f"gpgv, with which MAAS verifies, does not run here: {error}"
            yield warning("key", what, "apt install gpgv")
            return
    if done.returncode or done.stdout != text:
        what = f"gpgv refuses what the key {key.fingerprint} signs"
        yield problem("key", what, "Restore gnupg/ from the backup.")
    else:
        yield ok("key", f"the key {key.fingerprint} signs, and gpgv takes it")


def _schedule(mirror: Mirror) -> Iterator[Check]:
    now = datetime.now(UTC)
    if last := mirror.jobs.list(limit=1):
        job = last[0]
        what = f"job {job.id} ({job.created:%Y-%m-%d %H:%M} UTC) {job.state.value}"
        if job.state in {JobState.FAILED, JobState.INTERRUPTED}:
            said = f": {job.error.what}" if job.error else ""
            yield warning("last sync", what + said, f"See `mirror job show {job.id}`.")
        else:
            yield ok("last sync", what)
        if job.state is JobState.QUEUED and now - job.created > OVERDUE:
            what = f"job {job.id} has waited since {job.created:%Y-%m-%d %H:%M} UTC"
            yield warning("schedule", what, "Is `mirror serve` running, without --no-jobs?")
            return
    due = mirror.schedule.next_run()
    last_run = mirror.schedule.last().at
    interval = mirror.schedule.get().interval
    if due is None:
        yield warning("schedule", "syncs by schedule are off", "mirror schedule set --on")
    elif last_run and now - last_run > 2 * interval + OVERDUE and due - now < OVERDUE:
        what = f"the schedule started no sync since {last_run:%Y-%m-%d %H:%M} UTC"
        yield warning("schedule", what, "Is `mirror serve` running, without --no-jobs?")
    else:
        yield ok("schedule", f"the next sync is due at {due:%Y-%m-%d %H:%M} UTC")


def _channels(mirror: Mirror) -> Iterator[Check]:
    pointers = mirror.channels.pointers()
    if not pointers:
        yield problem(
            "channels",
            "nothing is published yet",
            "Add a source and a selection, then `mirror sync`.",
        )
    for name, snapshot_id in sorted(pointers.items()):
        try:
            snapshot = mirror.store.snapshots.load(snapshot_id)
        except MirrorError as error:
            yield failed(f"channel {name}", error)
            continue
        if snapshot.updated > utcnow() + timedelta(minutes=5):
            what = f"its stream is of {snapshot.updated:%Y-%m-%d %H:%M} UTC: is this clock right?"
            yield problem(f"channel {name}", what, "Set the clock (`timedatectl`).")
        yield _files(mirror, name, snapshot_id, snapshot)


def _files(mirror: Mirror, name: str, snapshot_id: str, snapshot: Snapshot) -> Check:
    """See that each file is there with its size, and read some of them."""
    refs = list({ref.sha256: ref for ref in snapshot.files.values()}.values())
    missing = [ref for ref in refs if mirror.store.blobs.size(ref.sha256) != ref.size]
    sample = _sample(refs)
    damaged = [ref for ref in sample if ref not in missing and not _is_whole(mirror, ref)]
    if missing or damaged:
        first = (missing + damaged)[0]
        path = next(path for path, ref in snapshot.files.items() if ref.sha256 == first.sha256)
        what = f"{len(missing)} of its files are missing, {len(damaged)} damaged (first: {path})"
        return problem(f"channel {name}", what, "mirror verify --repair")
    what = f"{snapshot_id}: all {len(refs)} files are there, {len(sample)} were read and are whole"
    return ok(f"channel {name}", what)


def _sample(refs: list[FileRef]) -> list[FileRef]:
    chosen: list[FileRef] = []
    room = SAMPLE_BYTES
    for ref in random.sample(refs, len(refs)):
        if ref.size <= room and len(chosen) < SAMPLE_BLOBS:
            chosen.append(ref)
            room -= ref.size
    return chosen


def _is_whole(mirror: Mirror, ref: FileRef) -> bool:
    with mirror.store.blobs.path(ref.sha256).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == ref.sha256


def _certificate(mirror: Mirror) -> Iterator[Check]:
    from mirror.signing.certificate import expiry

    if file := mirror.settings.server.tls_certificate:
        yield certificate_check(f"{file}", expiry(file))


def certificate_check(where: str, expires: datetime) -> Check:
    """Judge how long a certificate is good for."""
    left = expires - datetime.now(UTC)
    what = f"{where}: good until {expires:%Y-%m-%d %H:%M} UTC"
    remedy = "Renew it; the server takes a new file by itself."
    if left < timedelta():
        return problem("certificate", f"{where}: expired at {expires:%Y-%m-%d %H:%M} UTC", remedy)
    return warning("certificate", what, remedy) if left < SOON else ok("certificate", what)


def _run(*command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, timeout=_GPG_TIMEOUT, check=False)
