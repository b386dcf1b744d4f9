"""A slow line: a TCP proxy with latency, and a rate that all connections share.

    python -m benchmarks.line --to PORT --latency 0.05 --rate 100000000

It prints `line PORT` when it accepts. Half the latency is spent in each direction, so a request
waits for `--latency` in all; connecting is free, as with the peers' published figures. Where the
kernel has it, `tc netem` would do the same for root; this works anywhere.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import suppress

_CHUNK = 256 * 1024
_AHEAD = 0.02
"""Seconds that the shared rate may be booked ahead: what a router would queue."""

_IN_FLIGHT = 64
"""Chunks under way on one connection, in one direction."""


class Rate:
    """Bytes per second that everyone shares, first come first served; 0: no limit."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._booked = 0.0

    async def pass_through(self, count: int) -> None:
        """Wait until `count` more bytes have gone through."""
        if not self._rate:
            return
        now = asyncio.get_running_loop().time()
        self._booked = max(now, self._booked) + count / self._rate
        if self._booked - now > _AHEAD:
            await asyncio.sleep(self._booked - now - _AHEAD)


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: Rate, delay: float
) -> None:
    """Move bytes one way: each chunk arrives `delay` after it came off the rate."""
    loop = asyncio.get_running_loop()
    flight: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_IN_FLIGHT)
    landing = asyncio.create_task(_land(flight, writer))
    try:
        with suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                await rate.pass_through(len(data))
                await flight.put((loop.time() + delay, data))
        await flight.put((loop.time() + delay, b""))
        await landing
    finally:
        landing.cancel()


async def _land(flight: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    gone = False
    while True:
        due, data = await flight.get()
        if due > loop.time():
            await asyncio.sleep(due - loop.time())
        if not data:
            with suppress(OSError):
                writer.write_eof()
            return
        if gone:
            continue  # keep taking: the other side must not wait for ever
        try:
            writer.write(data)
            await writer.drain()
        except ConnectionError:
            gone = True


async def serve(to: int, latency: float, rate: float) -> None:
    """Carry every connection to port `to` of this machine, until killed."""
    shared = Rate(rate)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, ahead = await asyncio.open_connection("127.0.0.1", to, limit=_CHUNK * 2)
        try:
            await asyncio.gather(
                _carry(reader, ahead, Rate(0), latency / 2),
                _carry(behind, writer, shared, latency / 2),
            )
        finally:
            ahead.close()
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=_CHUNK * 2)
    print(f"line {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Run the line as the command line says."""
    parser = argparse.ArgumentParser(prog="benchmarks.line", description=__doc__)
    parser.add_argument("--to", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--rate", type=float, default=0.0)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.to, chosen.latency, chosen.rate))


if __name__ == "__main__":
    main()
