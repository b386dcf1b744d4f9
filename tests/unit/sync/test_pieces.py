"""Pieces of a file: handed out within bounds, drained in order."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from mirror.sync.pieces import Piece, Pieces


def divisible(size: int, written: int = 0) -> Pieces:
    pieces = Pieces(size, written)
    pieces.divisible = True
    return pieces


def test_a_piece_takes_no_more_than_it_holds() -> None:
    piece = Piece(10, 15)
    piece.put(b"abc")
    assert (piece.at, piece.buffered, piece.whole) == (13, 3, False)
    piece.put(b"defg")
    assert piece.whole
    assert piece.take() == ([b"abc", b"de"], 5)
    assert piece.take() == ([], 0)


def test_nothing_is_handed_out_of_a_file_that_is_not_divisible() -> None:
    assert Pieces(1000, 0).claim(10, 1000) is None


def test_a_file_with_little_left_is_not_cut() -> None:
    pieces = divisible(1000)
    pieces.first.put(bytes(701))
    assert pieces.claim(100, 1000) is None
    assert pieces.first.end == 1000
    assert not pieces.cut


def test_the_first_piece_is_cut_where_it_will_soon_be() -> None:
    pieces = divisible(1000)
    pieces.first.put(bytes(100))
    piece = pieces.claim(50, 1000)
    assert piece is not None
    assert pieces.first.end == 150
    assert (piece.at, piece.end) == (150, 200)
    assert pieces.ahead == 200


def test_no_piece_is_handed_out_beyond_the_window() -> None:
    pieces = divisible(1000)
    assert pieces.claim(50, 49) is None
    assert not pieces.cut
    assert pieces.claim(50, 50) is not None


def test_the_pieces_cover_the_file_exactly() -> None:
    pieces = divisible(1001, written=7)
    claimed = [pieces.first]
    while piece := pieces.claim(50, 10_000):
        claimed.append(piece)
    assert pieces.claimed
    spans = [(piece.at, piece.end) for piece in claimed]
    assert spans[0][0] == 7
    assert spans[-1][1] == 1001
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))


@pytest.mark.parametrize("seed", range(5))
async def test_bytes_that_come_in_any_order_are_written_in_order(seed: int) -> None:
    data = random.Random(seed).randbytes(5_000)
    chance = random.Random(seed)
    pieces = divisible(len(data))
    open_pieces = [pieces.first]
    while piece := pieces.claim(300, 10_000):
        open_pieces.append(piece)

    async def receive() -> None:
        while open_pieces:
            piece = chance.choice(open_pieces)
            piece.put(data[piece.at : piece.at + chance.randint(1, 99)])
            pieces.arrived(piece, 100)
            if piece.whole:
                open_pieces.remove(piece)
            await asyncio.sleep(0)

    written = bytearray()

    async def write() -> None:
        while pieces.written < pieces.size:
            chunks, count = await pieces.next_batch(100)
            written.extend(b"".join(chunks))
            pieces.written += count
            assert len(written) == pieces.written

    await asyncio.gather(receive(), write())
    assert written == data
    assert pieces.ahead == 0


async def test_who_is_ahead_of_the_writer_waits_only_for_the_first_piece() -> None:
    pieces = divisible(1000)
    second = pieces.claim(100, 1000)
    assert second is not None
    second.put(bytes(100))
    await asyncio.wait_for(pieces.room(second, 10), 1)
    pieces.first.put(bytes(50))
    waiting = asyncio.create_task(pieces.room(pieces.first, 10))
    await asyncio.sleep(0)
    assert not waiting.done()
    await pieces.next_batch(10)
    await asyncio.wait_for(waiting, 1)
