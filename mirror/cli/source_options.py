"""What can be said of a boot source on the command line."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping


class StreamOptions(TypedDict):
    """Where a stream is, how to get at it and whom to believe.

    What is not given stays as it is, or as the default of a boot source has it.
    """

    fallback_url: Annotated[
        list[str] | None,
        typer.Option(help="A copy of the same stream, asked when the URL fails; repeatable."),
    ]
    keyring: Annotated[str | None, typer.Option(help="File of OpenPGP public keys.")]
    keyring_data: Annotated[
        str | None, typer.Option(help="The keys themselves, armored or base64; `-` reads them.")
    ]
    fingerprint: Annotated[
        list[str] | None,
        typer.Option(
            help="Trust only this key; without a keyring, one that is known here; repeatable."
        ),
    ]
    trust: Annotated[str | None, typer.Option(help="`signed`, or `none` for an unsigned source.")]
    proxy: Annotated[str | None, typer.Option(help="HTTP proxy, as http://HOST:PORT.")]
    proxy_username: Annotated[str | None, typer.Option(help="For the proxy.")]
    proxy_password_file: Annotated[str | None, typer.Option(help="File with the proxy's password.")]
    no_proxy: Annotated[
        str | None, typer.Option(help="Hosts, domains and networks to reach without the proxy.")
    ]
    ca_file: Annotated[str | None, typer.Option(help="CA certificates (PEM) to trust besides.")]
    username: Annotated[str | None, typer.Option(help="For basic authentication.")]
    password_file: Annotated[str | None, typer.Option(help="File with the password.")]
    max_staleness: Annotated[
        float | None, typer.Option(help="Days after which an index is refused; 0: never.", min=0)
    ]


class SourceOptions(StreamOptions):
    """All that a boot source has besides its name and its URL."""

    priority: Annotated[int | None, typer.Option(help="The higher one wins a product.")]
    bandwidth: Annotated[int | None, typer.Option(help="Bytes per second; 0: no limit.", min=0)]


_FILES = {"keyring", "ca_file", "password_file", "proxy_password_file"}
_LISTS = {"fallback_url": "fallback_urls", "fingerprint": "fingerprints"}


def changes_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the options name, as `Sources.update` takes them."""
    changes: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        if name in _FILES:
            changes[name] = str(Path(value).expanduser().absolute()) if value else ""
        elif name in _LISTS:
            changes[_LISTS[name]] = [each for each in value if each]
        elif name == "max_staleness":
            changes[name] = timedelta(days=value)
        else:
            changes[name] = value
    if "keyring_data" in changes:
        if changes["keyring_data"] == "-":
            changes["keyring_data"] = sys.stdin.read()
        changes.setdefault("keyring", "")
    elif changes.get("keyring"):
        changes["keyring_data"] = ""
    return changes
