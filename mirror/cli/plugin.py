"""`mirror plugin`: which plugins were found, and what became of each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirror.cli.context import AsJson
from mirror.cli.output import print_json, print_line, print_table
from mirror.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.plugin_manager import PluginRecord, Plugins

app = typer.Typer(help="Plugins: the distributions that the mirror knows.", no_args_is_help=True)

_SECRET = re.compile(r"password|passphrase|secret|token|credential", re.IGNORECASE)


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List every plugin that is installed; needs no data directory."""
    plugins, strict = _load(ctx)
    if as_json:
        print_json(plugins.records)
    else:
        _print_list(plugins.records)
    if strict:
        plugins.demand_all()


@app.command()
def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The plugin's name, as `list` has it.")],
    as_json: AsJson = False,
) -> None:
    """Show what a plugin brings, its settings and their defaults, and what is wrong with it."""
    plugins, strict = _load(ctx)
    record = next((each for each in plugins.records if each.name == name), None)
    if record is None:
        raise NotFound(f"there is no plugin {name!r}", remedy="`mirror plugin list` names them.")
    shown = _described(plugins, record)
    if as_json:
        print_json(shown)
    else:
        _print_one(shown)
    if strict:
        plugins.demand_all()


def _load(ctx: typer.Context) -> tuple[Plugins, bool]:
    """Load all that can be, and say whether that is enough only if nothing failed."""
    from mirror.plugin_manager import load_configured

    chosen = ctx.obj.settings().plugins
    return load_configured(chosen.model_copy(update={"strict": False})), chosen.strict


def _print_list(records: tuple[PluginRecord, ...]) -> None:
    print_table(
        ("NAME", "STATUS", "PACKAGE", "VERSION", "DISTRIBUTIONS"),
        [(r.name, r.status, r.package, r.version, " ".join(r.distributions)) for r in records],
    )
    for record in records:
        if record.error:
            print_line(f"{record.name}: {record.error}\n  {record.remedy}")
        for warning in record.warnings:
            print_line(f"{record.name}: warning: {warning}")


def _described(plugins: Plugins, record: PluginRecord) -> dict[str, Any]:
    """Return the record, with whole commands and routes and the settings in it."""
    import msgspec

    routes = plugins.routes.get(record.name, ())
    return {
        **msgspec.structs.asdict(record),
        "commands": [
            {"name": each.name, "help": each.help} for each in plugins.commands.get(record.name, ())
        ],
        "routes": [
            {
                "method": each.method,
                "path": f"/api/v1/plugins/{record.name}{each.path}",
                "right": each.right,
                "summary": each.summary,
            }
            for each in routes
        ],
        "settings": list(_settings(plugins, record)),
    }


def _settings(plugins: Plugins, record: PluginRecord) -> Iterator[dict[str, Any]]:
    """Yield each setting with its value and its default; a secret is not shown."""
    import msgspec

    context = plugins.contexts.get(record.name)
    if context is None or context.settings is None:
        return
    default = type(context.settings)()
    for field in msgspec.structs.fields(context.settings):
        value, usual = getattr(context.settings, field.name), getattr(default, field.name)
        if _SECRET.search(field.name) and value:
            value = "(set)"
        yield {
            "key": field.encode_name,
            "value": msgspec.to_builtins(value),
            "default": msgspec.to_builtins(usual),
        }


def _print_one(shown: dict[str, Any]) -> None:
    for key in ("name", "status", "package", "version", "api"):
        print_line(f"{key:14} {shown[key]}".rstrip())
    for key in ("hooks", "distributions"):
        print_line(f"{key:14} {', '.join(shown[key]) or '-'}")
    for each in shown["commands"]:
        print_line(f"{'command':14} mirror {each['name']}: {each['help']}")
    for each in shown["routes"]:
        what = f"{each['method']} {each['path']} ({each['right']}): {each['summary']}"
        print_line(f"{'route':14} {what}")
    for each in shown["settings"]:
        what = f"{each['key']} = {_json(each['value'])}"
        changed = each["value"] != each["default"]
        usual = f" (default: {_json(each['default'])})" if changed else ""
        print_line(f"{'setting':14} {what}{usual}")
    for each in shown["warnings"]:
        print_line(f"{'warning':14} {each}")
    if shown["error"]:
        print_line(f"{'error':14} {shown['error']}\n{'':14} {shown['remedy']}")


def _json(value: object) -> str:
    import msgspec

    return msgspec.json.encode(value).decode()
