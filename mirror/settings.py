"""Settings: mirror.toml and MIRROR_* variables become one frozen value that is handed down.

Precedence: command line, environment (`MIRROR_SERVER__PORT=8080`), file, default. A key that is not
known is an error with a suggestion, never ignored.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from mirror.errors import SettingsInvalid

DEFAULT_DATA_DIR = Path("/var/lib/maas-image-mirror")
_PREFIX = "MIRROR_"
_PLACES = frozenset({"MIRROR_DATA_DIR", "MIRROR_CONFIG"})
"""Where to look for the file: read before anything else."""


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)?", re.ASCII)
_SECONDS = {None: 1, "s": 1, "min": 60, "h": 3600, "d": 86400}


def _duration(value: object) -> object:
    """Read `90`, `90 s`, `5 min`, `2 h` and `7 d`; leave the rest (ISO 8601) to pydantic."""
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(found[1]) * _SECONDS[found[2]] if found else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]


def read_duration(text: str) -> timedelta:
    """Read a duration as the settings do. Raises `ValueError`."""
    return TypeAdapter(Duration).validate_python(text)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServerSettings(_Section):
    """[server]: where and how `mirror serve` listens."""

    host: str = "0.0.0.0"  # noqa: S104  (a mirror is there to be reached)
    port: int = Field(default=8080, ge=0, le=65535)
    workers: int = Field(default=2, ge=1, le=64)
    drain: Duration = timedelta(minutes=5)
    """How long running transfers may go on after SIGTERM."""
    reading: Literal["open", "token"] = "open"
    """Whether images are for everyone, or for those who have a token."""
    metrics: Literal["token", "open"] = "token"
    """The same of /metrics beside the images; at `admin_port` they are always open."""
    admin_host: str = "127.0.0.1"
    admin_port: int | None = Field(default=None, ge=1, le=65535)
    """Where the API, the metrics and the pages are; not set: beside the images."""
    tls_certificate: Path | None = None
    """A PEM file with the certificate and its chain; with it, every address speaks TLS."""
    tls_key: Path | None = None
    """Its key; not set: in the file of the certificate."""

    @model_validator(mode="after")
    def _key_has_certificate(self) -> Self:
        if self.tls_key is not None and self.tls_certificate is None:
            raise ValueError("tls_key is set, and tls_certificate is not")
        return self


class SyncSettings(_Section):
    """[sync]: how files are fetched."""

    connections: int = Field(default=8, ge=1, le=64)
    stall_timeout: Duration = timedelta(seconds=30)
    """How long a connection may send nothing."""
    low_speed: ByteSize = ByteSize(1024)
    """Bytes per second below which a transfer is given up ..."""
    low_speed_time: Duration = timedelta(seconds=60)
    """... when it lasts this long."""
    attempts: int = Field(default=5, ge=1, le=20)
    channel: str = "stable"
    """The channel that a sync publishes to."""
    max_drop: float = Field(default=0.2, ge=0, le=1)
    """The share of a channel's products, or versions, that one publish may take away."""


class StoreSettings(_Section):
    """[store]: the data directory."""

    min_free: ByteSize = ByteSize(256 * 1024 * 1024)
    """A sync that would leave less free space than this does not start."""
    grace: Duration = timedelta(days=2)
    """How long paths of superseded snapshots are answered, and unreferenced blobs kept."""


class ScheduleSettings(_Section):
    """[schedule]: when `mirror serve` syncs by itself, until `mirror schedule set` says it."""

    enabled: bool = True
    interval: Duration = timedelta(minutes=60)
    jitter: Duration = timedelta(minutes=5)
    allowed: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    keep_jobs: int = Field(default=500, ge=1, le=100_000)
    """How many jobs that ended are remembered, with their logs."""


class RetentionSettings(_Section):
    """[retention]: how long snapshots stay. One goes when none of the three keeps it."""

    keep: int = Field(default=10, ge=1, le=10_000)
    """The newest snapshots of each channel that stay in any case."""
    age: Duration = timedelta(days=30)
    """Younger ones stay."""
    unpulled: Duration = timedelta(days=30)
    """One that somebody pulled less than this ago stays."""


class LogSettings(_Section):
    """[log]: what the server and its jobs write on standard error."""

    format: Literal["plain", "json"] = "plain"
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class PluginSettings(_Section):
    """[plugins]: which plugins are loaded, by entry-point name (empty `allow`: all).

    Any other table below it is the section of a plugin, `[plugins.NAME]`: kept as it is until the
    plugin is loaded, which knows its type.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, Any]]

    allow: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    prefer: tuple[str, ...] = ()
    """Of the plugins that claim one product, the first of these gets it."""
    strict: bool = False
    """A plugin that does not load stops the command (for CI)."""
    time_limit: Duration = timedelta(minutes=5)
    """How long a plugin may look at one version ..."""
    memory_limit: ByteSize = Field(default=ByteSize(1024**3), ge=64 * 1024**2)
    """... how much memory it may take ..."""
    disk_limit: ByteSize = ByteSize(20 * 1024**3)
    """... and how much it may write meanwhile."""
    processes: int = Field(default=2, ge=1, le=64)
    """How many versions plugins look at at a time, each in a process of its own."""

    @property
    def sections(self) -> dict[str, dict[str, Any]]:
        """The sections of plugins, by name."""
        return self.__pydantic_extra__


class ImageSettings(_Section):
    """[images]: custom images."""

    keep: int = Field(default=3, ge=1, le=1000)
    """How many versions of each are held, unless `mirror image set` says it of one."""
    max_size: ByteSize = ByteSize(100 * 1024**3)
    """How large a file may be that is taken in."""
    quota: ByteSize = ByteSize(0)
    """How much all of them may take together; 0: as much as there is."""
    time_limit: Duration = timedelta(hours=1)
    """How long one may be looked at, or built ..."""
    disk_limit: ByteSize = ByteSize(500 * 1024**3)
    """... and how much may be written meanwhile: a whole disk, where it has to be expanded."""


class Settings(_Section):
    """Everything that can be set. Durations: `90`, `5 min`, `2 h`, `7 d`; sizes: `10 GiB`."""

    data_dir: Path = DEFAULT_DATA_DIR
    server: ServerSettings = ServerSettings()
    sync: SyncSettings = SyncSettings()
    store: StoreSettings = StoreSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    plugins: PluginSettings = PluginSettings()
    images: ImageSettings = ImageSettings()


def load_settings(*, data_dir: Path | None = None, config: Path | None = None) -> Settings:
    """Read the settings.

    The file is `config`, else $MIRROR_CONFIG, else `<data_dir>/mirror.toml` where it exists.
    Raises `SettingsInvalid` naming the file or variable, the key, and the nearest known key.
    """
    explicit = config or _path_from_environment("MIRROR_CONFIG")
    root = data_dir or _path_from_environment("MIRROR_DATA_DIR")
    file = explicit or (root or DEFAULT_DATA_DIR) / "mirror.toml"
    values = _read_toml(file, required=explicit is not None)
    try:
        settings = Settings(**_merged(values, _from_environment()))
    except ValidationError as error:
        raise SettingsInvalid(_explain(error, str(file) if values else "environment")) from None
    chosen = root or settings.data_dir
    return settings.model_copy(update={"data_dir": chosen.expanduser().absolute()})


def _from_environment() -> dict[str, Any]:
    """Return what MIRROR_* variables say, as the file would say it.

    pydantic-settings reads them; it costs a command a tenth of its start, so it is imported where
    there is such a variable.
    """
    if not any(name.upper().startswith(_PREFIX) for name in os.environ.keys() - _PLACES):
        return {}
    from pydantic_settings import (
        BaseSettings,
        EnvSettingsSource,
        SettingsConfigDict,
        SettingsError,
    )

    class _Environment(BaseSettings, Settings):
        model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter="__")

    try:
        return EnvSettingsSource(_Environment)()
    except SettingsError as error:
        raise SettingsInvalid(f"environment: {error}: it is not JSON") from None


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return the values of both, section by section; those of `above` win."""
    return {
        **below,
        **{
            key: _merged(below[key], value)
            if isinstance(value, dict) and isinstance(below.get(key), dict)
            else value
            for key, value in above.items()
        },
    }


def _path_from_environment(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None


def _read_toml(file: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not required:
            return {}
        raise SettingsInvalid(f"there is no settings file {file}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid(f"can't read the settings file {file}: {error}") from None


def _explain(error: ValidationError, origin: str) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    scalar = first["loc"][:1] == ("plugins",) and first["type"] == "dict_type"
    if first["type"] != "extra_forbidden" and not scalar:
        return f"{origin}: {key}: {first['msg']} (it is {first['input']!r})"
    known = _known_keys(Settings)
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}"
    return f"{origin}: unknown key {key!r}{hint}"


def _known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in model.model_fields.items():
        keys.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += _known_keys(field.annotation, f"{prefix}{name}.")
    return keys
