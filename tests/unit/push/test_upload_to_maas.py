"""An image goes to a region that behaves as MAAS does, whatever happens on the way."""

from __future__ import annotations

import hashlib
import os

import pytest
from maas_region import KEY, FakeRegion, running

from mirror.errors import (
    ApiKeyInvalid,
    HttpStatus,
    RegionAnswerInvalid,
    RegionRefused,
    SourceInvalid,
    Truncated,
    UploadStuck,
)
from mirror.push.oauth import authorization, parse_key
from mirror.push.region import api_of, open_region
from mirror.push.replies import PIECE, offsets
from mirror.push.upload import Outgoing, upload

SIZE = 2 * PIECE + 12_345


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    file = tmp_path_factory.mktemp("push") / "root.tgz"
    file.write_bytes(os.urandom(SIZE))
    return file


def outgoing(file, **changes):
    data = file.read_bytes()
    facts = {
        "name": "rhel/9",
        "architecture": "amd64/generic",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "filetype": "tgz",
    }
    return Outgoing(**{**facts, **changes})


async def push(region, file, *, key=KEY, restart=False, attempts=4, **changes):
    events = []
    async with running(region) as url, open_region(url, parse_key(key), stall=5) as there:
        done = await upload(
            there,
            outgoing(file, **changes),
            file,
            events.append,
            attempts=attempts,
            restart=restart,
        )
    return done, events


def puts(region):
    return [status for method, _, status in region.log if method == "PUT"]


async def test_an_image_arrives_whole(image):
    region = FakeRegion()
    done, events = await push(region, image, title="RHEL 9")
    [held] = region.files.values()
    assert held.complete
    assert bytes(held.data) == image.read_bytes()
    assert (done.sent, puts(region)) == (SIZE, [200, 200, 200])
    assert region.images["rhel/9", "amd64/generic"]["form"]["title"] == "RHEL 9"
    assert "base_image" not in region.images["rhel/9", "amd64/generic"]["form"]
    assert sum(each.bytes for each in events if type(each).__name__ == "Received") == SIZE


async def test_what_is_there_is_not_sent_again(image):
    region = FakeRegion()
    await push(region, image)
    done, _ = await push(region, image)
    assert done.sent == 0
    assert len(puts(region)) == 3


@pytest.mark.parametrize("progress", ["share", "percent"])
async def test_an_upload_that_stopped_goes_on(image, progress):
    region = FakeRegion(progress=progress)
    region.faults = ["", "503", "503", "503", "503"]
    with pytest.raises(HttpStatus):
        await push(region, image, attempts=2)
    assert len(next(iter(region.files.values())).data) == PIECE
    region.faults = []
    done, _ = await push(region, image)
    assert done.sent == SIZE - PIECE
    assert next(iter(region.files.values())).complete


@pytest.mark.parametrize("progress", ["share", "percent", "rounded"])
@pytest.mark.parametrize("fault", ["cut", "lost answer", "503"])
async def test_a_piece_of_which_the_answer_is_lost_is_sent_once(image, fault, progress):
    region = FakeRegion(progress=progress, faults=["", fault])
    done, _ = await push(region, image)
    [held] = region.files.values()
    assert held.complete
    assert bytes(held.data) == image.read_bytes()
    assert done.sent == SIZE


async def test_the_answer_to_the_last_piece_is_lost(image):
    region = FakeRegion(faults=["", "", "lost answer"])
    done, _ = await push(region, image)
    assert done.sent == SIZE
    assert next(iter(region.files.values())).complete


async def test_a_region_that_is_down_is_given_up(image):
    region = FakeRegion(faults=["cut"] * 10)
    with pytest.raises(Truncated):
        await push(region, image, attempts=2)


async def test_smaller_pieces_where_a_proxy_asks_for_them(image):
    region = FakeRegion(most=PIECE // 4)
    await push(region, image)
    assert next(iter(region.files.values())).complete
    assert puts(region)[:2] == [413, 413]


async def test_no_piece_is_small_enough(image):
    with pytest.raises(RegionRefused, match="413"):
        await push(FakeRegion(most=1000), image)


async def test_something_else_was_appended_to_it(image):
    region = FakeRegion()
    sha = outgoing(image).sha256
    await push(region, image)
    held = region.files[sha]
    held.complete, held.data = False, bytearray(PIECE) + held.data[PIECE : 2 * PIECE]
    with pytest.raises(UploadStuck, match="does not match given SHA256") as caught:
        await push(region, image)
    assert "--restart" in caught.value.remedy
    with pytest.raises(UploadStuck):
        await push(region, image)
    done, _ = await push(region, image, restart=True)
    assert done.sent == SIZE
    assert bytes(region.files[sha].data) == image.read_bytes()


async def test_a_part_that_is_no_whole_number_of_pieces(image):
    region = FakeRegion()
    await push(region, image)
    held = next(iter(region.files.values()))
    held.complete, held.data = False, held.data[: PIECE + 777]
    with pytest.raises(UploadStuck, match="not which is certain"):
        await push(region, image)


async def test_more_was_appended_than_the_region_said(image):
    class Hasty(FakeRegion):
        def _progress(self, held):
            return 0.0

    region = Hasty()
    await push(region, image)
    held = next(iter(region.files.values()))
    held.complete, held.data = False, held.data[: 2 * PIECE]
    with pytest.raises(UploadStuck, match="Too much data"):
        await push(region, image)


@pytest.mark.parametrize("clock", [-4000, 4000])
async def test_another_time_there(image, clock):
    region = FakeRegion(clock=clock)
    await push(region, image)
    assert next(iter(region.files.values())).complete
    assert [status for _, _, status in region.log].count(401) == 1


async def test_a_wrong_key(image):
    region = FakeRegion()
    with pytest.raises(ApiKeyInvalid, match="Invalid signature") as caught:
        await push(region, image, key="ck1:tk1:wrong0")
    assert "wrong0" not in caught.value.what
    assert [status for _, _, status in region.log] == [401]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "noble"}, "reserved name"),
        ({"filetype": "squashfs"}, "available choices"),
        ({"architecture": "riscv64/generic"}, "usable architecture"),
    ],
)
async def test_what_maas_refuses_is_said_in_its_words(image, changes, said):
    with pytest.raises(RegionRefused, match=said):
        await push(FakeRegion(), image, **changes)


async def test_another_size_of_the_same_content(image):
    region = FakeRegion()
    await push(region, image)
    with pytest.raises(RegionRefused, match="other size"):
        await push(region, image, size=SIZE - 1)


async def test_what_is_no_maas(image, serve, tmp_path):
    (tmp_path / "index.html").write_text("hello")
    served = serve(tmp_path)
    async with open_region(served.url, parse_key(KEY)) as there:
        with pytest.raises(RegionRefused):
            await upload(there, outgoing(image), image, lambda _: None, attempts=1)


async def test_an_answer_that_is_no_json(image):
    class Odd(FakeRegion):
        def _describe(self, image):
            return ["nothing"]

    with pytest.raises(RegionAnswerInvalid):
        await push(Odd(), image)


async def test_the_image_goes_nowhere_else(image):
    class Sly(FakeRegion):
        def _describe(self, image):
            said = super()._describe(image)
            for each in said["sets"].values():
                each["files"]["root.tgz"]["upload_uri"] = "http://127.0.0.2:1/elsewhere/"
            return said

    with pytest.raises(RegionRefused, match="wants the image to be sent to"):
        await push(Sly(), image)


@pytest.mark.parametrize("text", ["", "a:b", "a:b:c:d", "a::c", "a:b:c d", "a:b:ü"])
def test_what_is_no_key(text):
    with pytest.raises(ApiKeyInvalid) as caught:
        parse_key(text)
    assert not text or text not in caught.value.what


def test_every_request_is_signed_afresh():
    key = parse_key(KEY + "\n")
    assert authorization(key, 1.5) != authorization(key, 1.5)
    assert 'oauth_signature="%26s3cr3tXYZ"' in authorization(key, 1.5)


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("http://maas:5240/MAAS", "http://maas:5240/MAAS/api/2.0/"),
        ("http://maas:5240/MAAS/", "http://maas:5240/MAAS/api/2.0/"),
        ("http://maas:5240", "http://maas:5240/MAAS/api/2.0/"),
        ("https://maas/x/MAAS/api/2.0/", "https://maas/x/MAAS/api/2.0/"),
    ],
)
def test_where_the_api_is(url, api):
    assert str(api_of(url)) == api


@pytest.mark.parametrize("url", ["", "maas", "ftp://maas", "http://", "http://u:p@maas/MAAS"])
def test_what_is_no_address(url):
    with pytest.raises(SourceInvalid) as caught:
        api_of(url)
    assert "u:p" not in caught.value.what


@pytest.mark.parametrize(
    ("progress", "sent", "found"),
    [
        (0, (), {0}),
        (0, (PIECE, 2 * PIECE), set()),
        (0, (0, PIECE), {0}),
        (PIECE / SIZE, (), {PIECE}),
        (100 * PIECE / SIZE, (), {PIECE}),
        (0.123, (), set()),
        (50, (PIECE, 2 * PIECE), {PIECE}),
        (1, (), {SIZE}),
        (100, (), {SIZE}),
        (250, (), set()),
    ],
)
def test_how_far_a_region_is(progress, sent, found):
    assert offsets(progress, SIZE, sent) == found
