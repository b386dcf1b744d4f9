"""`mirror image`: the operator's own images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mirror.cli.context import AsJson, opened, operator, run
from mirror.cli.findings import finding_text, tally
from mirror.cli.image_add import ANY_ARCH, Publish, add, build, lint
from mirror.cli.image_push import push
from mirror.cli.output import human_size, print_json, print_line, print_note, print_table

if TYPE_CHECKING:
    from mirror.images.declaration import Declaration
    from mirror.images.records import CustomImage
    from mirror.service import Mirror

app = typer.Typer(help="Custom images: your own.", no_args_is_help=True)
for command in (add, lint, build, push):
    app.command()(command)

Name = Annotated[str, typer.Argument(help="As in MAAS: windows/win2022; rocky-9.", metavar="NAME")]
Arch = Annotated[str, typer.Option(help="ARCH/SUBARCH.")]


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the custom images, with the newest version of each."""
    with opened(ctx) as mirror:
        images = mirror.custom_images.list()
    if as_json:
        print_json(images)
        return
    print_table(
        ("NAME", "ARCH", "TYPE", "VERSION", "HELD", "SIZE", "LICENCE", "FINDINGS"),
        [_row(each) for each in images],
    )


@app.command()
def show(ctx: typer.Context, name: Name, arch: Arch = ANY_ARCH, as_json: AsJson = False) -> None:
    """Show an image, its versions, and what was found in each."""
    with opened(ctx) as mirror:
        image = mirror.custom_images.get(_named(name, arch))
    if as_json:
        print_json(image)
        return
    about = image.declaration
    print_line(f"{about.name}, {about.arch}/{about.subarch}: {about.title or 'no title'}")
    print_line(f"product: {image.product}")
    print_line(f"licence: {about.licence}")
    if about.base_image:
        print_line(f"base image: {about.base_image}")
    print_line(f"versions to hold: {image.keep or 'as the settings say'}")
    print_table(
        ("VERSION", "TYPE", "SIZE", "SHA256", "BY", "AT", "FROM"),
        [
            (
                each.name,
                each.root.ftype,
                human_size(each.root.size),
                each.root.sha256,
                each.by,
                f"{each.at:%Y-%m-%d %H:%M:%S}",
                f"{each.made_from.file} {each.made_from.sha256[:12]}" if each.made_from else "-",
            )
            for each in reversed(image.versions)
        ],
    )
    for each in reversed(image.versions):
        for finding in each.findings:
            print_line(finding_text(finding, each.name))


@app.command("set")
def set_(
    ctx: typer.Context,
    name: Name,
    arch: Arch = ANY_ARCH,
    title: Annotated[str | None, typer.Option(help="What people see.")] = None,
    licence: Annotated[str, typer.Option(help="free, subscription, proprietary.")] = "",
    keep: Annotated[
        int | None, typer.Option(help="Versions to hold; 0: as the settings say.", min=0)
    ] = None,
    publish: Publish = True,
    as_json: AsJson = False,
) -> None:
    """Change what is given of an image, and publish that."""
    from mirror.errors import UsageProblem
    from mirror.service.custom_images import read_licence

    if title is None and keep is None and not licence:
        raise UsageProblem(
            f"nothing of {name} is to change", remedy="Give --title, --licence or --keep."
        )
    with opened(ctx) as mirror:
        image = mirror.custom_images.update(
            _named(name, arch),
            title=title,
            licence=read_licence(licence),
            keep=keep,
            by=operator(),
        )
        status = _publish(mirror) if publish else 0
    if as_json:
        print_json(image)
    else:
        print_line(f"{image.declaration.name} is set")
    raise typer.Exit(status)


@app.command()
def remove(
    ctx: typer.Context,
    name: Name,
    arch: Arch = ANY_ARCH,
    version: Annotated[str, typer.Option(help="Only this version.")] = "",
    publish: Publish = True,
    as_json: AsJson = False,
) -> None:
    """Remove an image, or one version, and publish without it."""
    with opened(ctx) as mirror:
        image = mirror.custom_images.remove(_named(name, arch), version, by=operator())
        status = _publish(mirror) if publish else 0
    if as_json:
        print_json(image)
    else:
        print_line(f"{image.declaration.name} {version or 'with all of its versions'} is removed")
        print_note("snapshots that have it stay as long as retention keeps them; see `mirror gc`")
    raise typer.Exit(status)


# --- how ------------------------------------------------------------------------------------------


def _publish(mirror: Mirror) -> int:
    """Publish what there is now; return the exit status."""
    from mirror.cli.progress import show_progress
    from mirror.errors import NothingSelected

    try:
        with show_progress() as emit:
            result = run(mirror.custom_images.publish(emit, by=operator()))
    except NothingSelected as error:
        channel = mirror.settings.sync.channel
        print_note(
            f"nothing is left to publish, so channel {channel} stays as it was: {error.what}. "
            f"To take it away as well: mirror channel remove {channel}"
        )
        return 3
    if result.status == "held":
        print_note(f"channel {result.channel} is held: it follows when that ends")
    return result.exit_status


def _named(name: str, arch: str) -> Declaration:
    from mirror.images.declaration import Wanted, declared

    return declared(Wanted(name=name, arch=arch))


def _row(image: CustomImage) -> tuple[str, ...]:
    about, newest = image.declaration, image.versions[-1]
    return (
        about.name,
        f"{about.arch}/{about.subarch}",
        newest.root.ftype,
        newest.name,
        str(len(image.versions)),
        human_size(newest.bytes),
        about.licence,
        tally(newest.findings, newest.judge),
    )
