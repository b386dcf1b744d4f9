"""`mirror image push`: deliver an image to a MAAS region."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mirror.cli.context import AsJson, opened, operator, run
from mirror.cli.output import human_size, print_json, print_line


def push(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The image: windows/win2022.", metavar="NAME")],
    maas: Annotated[str, typer.Option(help="The region: http://maas.example:5240/MAAS.")],
    key_file: Annotated[
        Path, typer.Option(help="A file with the API key that `maas apikey` prints.")
    ],
    arch: Annotated[str, typer.Option(help="Architecture and subarchitecture.")] = "amd64/generic",
    version: Annotated[str, typer.Option(help="This version, not the newest.")] = "",
    ca_file: Annotated[
        Path | None, typer.Option(help="A PEM file with the authority of the region's certificate.")
    ] = None,
    keep_old: Annotated[
        bool, typer.Option("--keep-old", help="Leave older versions on the region.")
    ] = False,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Remove the image from the region first, and send all."),
    ] = False,
    include_licensed: Annotated[
        bool, typer.Option("--include-licensed", help="Deliver an image that is not free.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Deliver an image to a MAAS region over its API, going on where an earlier push stopped.

    For disk images, and for images of custom/, there is no other road into MAAS 3.7 and newer.
    Exit status: 0 it is there; 1 it is not; 2 wrong usage, or it is not free.
    """
    from mirror.cli.progress import show_progress
    from mirror.service.pushing import PushOrder

    order = PushOrder(
        name=name,
        arch=arch,
        maas=maas,
        key_file=key_file,
        version=version,
        ca_file=ca_file,
        keep_old=keep_old,
        restart=restart,
        licensed=include_licensed,
    )
    with opened(ctx) as mirror, show_progress() as emit:
        done = run(mirror.pushing.push(order, emit, by=operator()))
    if as_json:
        print_json(done)
        return
    sent = f"{human_size(done.sent)} sent" if done.sent else "nothing had to be sent"
    print_line(f"{name} is on the region as version {done.version}; {sent}")
