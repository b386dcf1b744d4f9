"""The verbs that have no noun: init, sync, serve."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Annotated

import typer

from mirror.cli.context import AsJson, Globals, opened, operator, run
from mirror.cli.findings import print_first_findings
from mirror.cli.output import human_size, print_json, print_line, print_note, print_table

if TYPE_CHECKING:
    from mirror.model import Problem
    from mirror.server.options import ServerOptions
    from mirror.service import Mirror
    from mirror.settings import Settings
    from mirror.sync.result import SyncResult


def init(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Option(help="The key's user id.", show_default="the host's name")
    ] = "",
) -> None:
    """Make the data directory and the key that signs what we publish."""
    from mirror.service import Mirror

    options: Globals = ctx.obj
    settings = options.settings()
    user_id = name or f"MAAS image mirror on {socket.gethostname()}"
    with Mirror.create(settings, name=user_id) as mirror:
        print_line(f"{settings.data_dir} is ready; its key is {mirror.key.fingerprint}")
    print_note("next: mirror source add NAME URL --keyring FILE")


def sync(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be fetched, and fetch nothing.")
    ] = False,
    source: Annotated[
        list[str] | None, typer.Option(help="Only this boot source; the others stay.")
    ] = None,
    channel: Annotated[str, typer.Option(help="Publish to this channel [sync.channel].")] = "",
    accept_rollback: Annotated[
        bool, typer.Option("--accept-rollback", help="Believe an older stream, this once.")
    ] = False,
    accept_drop: Annotated[
        bool, typer.Option("--accept-drop", help="Publish without much that was there, this once.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Wait for a sync that runs already, or fail.")] = True,
    join: Annotated[
        bool, typer.Option("--join", help="If the same sync runs already, follow that one.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the channel up to date with the boot sources, as a job that `mirror job` shows.

    Exit status: 0 done; 3 something was left out, the rest is published; 4 nothing could be
    believed; 130 it was cancelled.
    """
    from mirror.cli.progress import show_progress
    from mirror.sync.run import SyncOptions

    with opened(ctx) as mirror:
        options = SyncOptions(
            channel=channel or mirror.settings.sync.channel,
            dry_run=dry_run,
            accept_rollback=accept_rollback,
            accept_drop=accept_drop,
            only=tuple(source or ()),
            wait=wait,
        )
        if join and (same := mirror.jobs.same(options)):
            result = joined(mirror, same.id, as_json=as_json)
        else:
            with show_progress() as emit:
                result = run(mirror.syncs.run(options, emit, by=operator()))
    if as_json:
        print_json(result)
    else:
        print_result(result)
    raise typer.Exit(result.exit_status)


def joined(mirror: Mirror, number: int, *, as_json: bool) -> SyncResult:
    """Follow a job that another process runs, and return its result as if it were ours."""
    import msgspec

    from mirror.cli.job import print_failure, show_until_end
    from mirror.sync.result import SyncResult

    print_note(f"joining job {number}; Ctrl-C leaves it running")
    job = show_until_end(mirror, number)
    if job.error is not None:
        raise typer.Exit(print_failure(job, as_json=as_json))
    return msgspec.json.decode(job.result, type=SyncResult)


def print_result(result: SyncResult) -> None:
    """Show what came of a sync."""
    if result.status == "planned":
        print_table(
            ("SIZE", "SOURCE", "PATH"),
            [(human_size(each.size), each.source, each.path) for each in result.to_fetch],
        )
        print_line(
            f"would fetch {len(result.to_fetch)} files, {human_size(result.bytes_to_fetch)}; "
            f"{result.files_here} files, {human_size(result.bytes_here)} are here already"
        )
    for version in result.added:
        print_line(f"+ {version}")
    for version in result.dropped:
        print_line(f"- {version}")
    for product, notes in sorted(result.notes.items()):
        for note in notes:
            print_line(f"note: {product}: {note}")
    print_first_findings(result.findings, result.channel)
    _print_problems("left out", result.left_out)
    _print_problems("source", result.sources)
    if result.status == "unchanged":
        print_line(f"nothing new; {result.channel} stays at {result.snapshot}")
    elif result.status == "published":
        print_line(f"{result.channel} is at {result.snapshot}")
    elif result.status == "held":
        why = f": {result.reason}" if result.reason else ""
        print_line(f"{result.channel} is held at {result.snapshot}{why}; nothing was fetched")
    if result.refusal is not None:
        _print_problems("would be refused", (result.refusal,))


def _print_problems(label: str, problems: tuple[Problem, ...]) -> None:
    for each in problems:
        print_line(f"{label}: {each.about}: {each.what} [{each.code}]\n  {each.remedy}")


def serve(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on [server.host].")] = "",
    port: Annotated[
        int | None, typer.Option(help="Port; 0: any [server.port].", min=0, max=65535)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes [server.workers].", min=1, max=64)
    ] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log each request.")] = False,
    jobs: Annotated[
        bool, typer.Option(help="Run the schedule and the queued jobs, or only serve.")
    ] = True,
) -> None:
    """Serve the channels until SIGTERM or Ctrl-C, then let transfers end."""
    import msgspec

    from mirror.cli.token import login_hint
    from mirror.logs import configure
    from mirror.server.supervisor import run_server

    options: Globals = ctx.obj
    settings = options.settings()
    if settings.plugins.strict:
        from mirror.plugin_manager import load_configured

        load_configured(settings.plugins)
    chosen = msgspec.structs.replace(
        server_options(settings, host, port, workers, access_log=access_log),
        config=str(options.config.absolute()) if options.config else "",
        jobs=jobs,
    )
    configure(chosen.log_level, form=chosen.log_format)
    how_to_log_in = login_hint(options)

    def say_ready(url: str) -> None:
        print_line(f"serving {url}/images/<channel>/")
        for line in how_to_log_in:
            print_note(line)

    raise typer.Exit(run_server(chosen, on_ready=say_ready))


def server_options(
    settings: Settings,
    host: str = "",
    port: int | None = None,
    workers: int | None = None,
    *,
    access_log: bool = False,
) -> ServerOptions:
    """Put the server's options together: what the command line leaves out comes from settings."""
    from mirror.server.options import ServerOptions

    server = settings.server
    return ServerOptions(
        data_dir=str(settings.data_dir),
        reading=server.reading,
        metrics=server.metrics,
        log_level=settings.log.level,
        log_format=settings.log.format,
        admin_host=server.admin_host,
        admin_port=server.admin_port,
        tls_certificate=str(server.tls_certificate or ""),
        tls_key=str(server.tls_key or ""),
        host=host or server.host,
        port=server.port if port is None else port,
        workers=workers or server.workers,
        drain=server.drain,
        grace=settings.store.grace,
        min_free=int(settings.store.min_free),
        access_log=access_log,
    )
