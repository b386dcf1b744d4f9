"""A mirror of the mirror takes the operator's own images, of every kind, as it takes all others."""

from __future__ import annotations

import gzip
import json
import os

from mirror.model import BootSource, Licence, Role, Selection
from mirror.service import Mirror
from mirror.sync.run import SyncOptions
from mirror.testing.root_tarballs import root_members, root_tarball

ROOT, DISK = "custom:v1:centos:9-ours:amd64:generic", "custom:v1:custom:disk:amd64:generic"
SECRET = "custom:v1:custom:secret:amd64:generic"


def add(cli, tmp_path):
    """Add a root tarball, a disk image, and one that is not free."""
    root = tmp_path / "root.tgz"
    root.write_bytes(root_tarball(root_members("root", 300_000, release="9-stream")))
    secret = tmp_path / "secret.tgz"
    secret.write_bytes(root_tarball(root_members("secret", 300_000, release="9-stream")))
    disk = tmp_path / "disk.gz"
    table = (b"\xeb\x63" * 223) + bytes([0x80, 0, 2, 0, 0x83, 0, 2, 0]) + (1).to_bytes(4, "little")
    table = (table + (2000).to_bytes(4, "little")).ljust(510, b"\0") + b"\x55\xaa"
    disk.write_bytes(gzip.compress(table + os.urandom(2047 * 512), mtime=0))
    for name, file, more in (
        ("centos/9-ours", root, ()),
        ("custom/disk", disk, ()),
        ("custom/secret", secret, ("--licence", "proprietary")),
    ):
        done = cli("image", "add", str(file), "--name", name, *more)
        assert done.status == 0, done.err


async def mirrored(settings, tmp_path, mut, url, name):
    """Make a mirror of a mirror, sync it, and return the products and versions that it has."""
    key = tmp_path / "mirror.gpg"
    key.write_bytes(mut.mirror.key.public_binary())
    own = settings.model_copy(update={"data_dir": tmp_path / name})
    with Mirror.create(own, name="below", algorithm="ed25519") as below:
        below.sources.add(BootSource(name="above", url=url, keyring=str(key)), by="test")
        below.selections.add(Selection(0, ("arch=amd64",)), by="test")
        done = await below.syncs.run(SyncOptions(), lambda _: None)
        assert done.exit_status == 0, done
        return {(each.product, each.version) for each in below.snapshots.show("stable").items}


async def test_what_is_free_goes_to_all(mut, cli, settings, tmp_path):
    add(cli, tmp_path)
    with cli.serving() as server:
        url = f"{server.url}/images/stable/streams/v1/index-all.sjson"
        below = await mirrored(settings, tmp_path, mut, url, "below")
    assert below == {each for each in mut.versions() if each[0] != SECRET}
    assert {product for product, _ in below} == {ROOT, DISK}


async def test_what_is_not_goes_to_a_token_that_may_have_it(mut, cli, settings, tmp_path):
    add(cli, tmp_path)
    assert cli("channel", "allow", "stable", "proprietary").status == 0
    licences = (Licence.PROPRIETARY,)
    token = mut.mirror.tokens.create("b", Role.READER, (), licences=licences, by="test").secret
    with cli.serving() as server:
        url = f"{server.url}/t/{token}/images/stable/streams/v1/index-all.sjson"
        below = await mirrored(settings, tmp_path, mut, url, "below")
    assert below == mut.versions()
    said = json.loads(cli("audit", "list", "--action", "download", "--json").out)
    assert said
