"""All settings, read from SOLDOUT_* environment variables once at the start of each process.

A wrong value raises BadSetting with one line that names the variable.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from workers.errors import BadSetting
from workers.phrases import in_words
from workers.redis_url import RedisUrl, mask, parse

PREFIX = "SOLDOUT_"
OF_REDIS = tuple(
    f"{PREFIX}{name}"
    for name in (
        "REDIS_URL",
        "REDIS_PASSWORD_FILE",
        "REDIS_REPLICAS",
        "REDIS_DURABILITY",
        "LOCK_TTL_MS",
        "SHARDS",
    )
)  # they mean nothing without it
READ_ELSEWHERE = {f"{PREFIX}URL", f"{PREFIX}PORT"}  # by the command line; by docker-compose.yml
OF_OTHERS = (
    *(f"{PREFIX}{whose}_" for whose in ("LOADTEST", "TEST")),
    *(f"{PREFIX}{what}_" for what in ("SERVICE", "PORT")),  # Kubernetes' words about a `soldout`
)
ALIKE = 0.6  # of what difflib measures: most of the letters, in their order
HASHED_KEY_PREFIX = "sha256:"
ADMIN_KEY_MIN_CHARACTERS = 16  # below that, guessing over the network becomes thinkable

Small = Annotated[int, Meta(ge=1, le=64)]
Address = Annotated[str, Meta(pattern=r"\A(\[[0-9a-fA-F:.]+\]|[^:\s]+):[0-9]{1,5}\Z")]
Timing = Literal["asked", "always", "off"]
Seconds = Annotated[float, Meta(ge=0.1, le=600)]


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """One field for each SOLDOUT_<NAME> variable; the defaults suit one small host."""

    bind: Address = "127.0.0.1:8000"
    data_dir: str = "./data"
    lock: Literal["process", "redis"] = "process"
    redis_url: str = "redis://127.0.0.1:6379/0"
    redis_password_file: str | None = None
    redis_replicas: Annotated[int, Meta(ge=0, le=10)] = 0  # which have a sale before its answer
    redis_durability: Literal["strict", "relaxed"] = "strict"
    lock_ttl_ms: Annotated[int, Meta(ge=100, le=60_000)] = 2_000
    shards: Small | None = None  # of a new ledger; an existing one knows how many it has
    workers: Small = 2
    web_processes: Small = 2
    admin_key: str | None = None
    admin_key_file: str | None = None
    wait_seconds: Seconds = 5.0
    deadline_seconds: Seconds = 30.0
    batch_max: Annotated[int, Meta(ge=1, le=1_024)] = 512
    max_in_flight: Annotated[int, Meta(ge=1, le=100_000)] = 2_000
    metrics: Literal["open", "admin", "off"] = "open"  # who may read /metrics
    metrics_bind: Address | None = None  # where this host serves what it counts, beside the web
    log: Literal["auto", "json", "text"] = "auto"  # auto: text on a terminal
    access_log: Annotated[float, Meta(ge=0, le=1)] = 0.0  # the share of requests that get a line
    log_buyers: bool = False  # whether the log may name buyers and their addresses
    server_timing: Timing = "asked"
    traces: Literal["off", "otlp"] = "off"  # needs soldout[otel]
    streams_max: Annotated[int, Meta(ge=0, le=100_000)] = 1_000  # who looks on, a web process

    @property
    def data_path(self) -> Path:
        """The data directory, absolute."""
        return Path(self.data_dir).absolute()

    @property
    def ledger_path(self) -> Path:
        """The embedded ledger's file."""
        return self.data_path / "ledger.db"

    @property
    def run_path(self) -> Path:
        """Where sockets and heartbeats of the running service lie."""
        return self.data_path / "run"

    @property
    def metrics_path(self) -> Path:
        """Where the running service's processes count."""
        return self.run_path / "metrics"

    @property
    def admin_key_path(self) -> Path:
        """Where the administration's key stands, unless a variable gives it."""
        return (
            Path(self.admin_key_file).absolute()
            if self.admin_key_file
            else self.data_path / "admin-key"
        )

    @property
    def redis_shown(self) -> str:
        """Which Redis it is, for people to read: no password in it."""
        return mask(self.redis_url)

    def redis_parsed(self) -> RedisUrl:
        """Return the parts of the Redis URL, the password of its file included.

        Raises BadSetting if the file cannot be read.
        """
        parsed = parse(self.redis_url)
        if self.redis_password_file is None:
            return parsed
        return msgspec.structs.replace(
            parsed, password=_read_redis_password(Path(self.redis_password_file))
        )

    @property
    def connections_max(self) -> int:
        """Connections of one web process: who is told "overloaded" or only looks needs one too."""
        return 2 * self.max_in_flight + 1_000

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return _parse(self.bind)

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of a server for metrics alone, if there shall be one."""
        return _parse(self.metrics_bind) if self.metrics_bind else None


def _parse(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings. Unknown SOLDOUT_ variables are left alone: other programs may use them."""
    values: dict[str, Any] = {
        name: environ[PREFIX + name.upper()]
        for name in Settings.__struct_fields__
        if environ.get(PREFIX + name.upper(), "") != ""
    }
    for name, value in values.items():
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError as error:
            reason = in_words(str(error).partition(" - at ")[0])
            if choices := get_args(get_type_hints(Settings)[name]) if "enum" in reason else ():
                reason = f"must be one of {', '.join(choices)}"
            if name in ("bind", "metrics_bind"):
                reason = "not like 127.0.0.1:8000"
            raise BadSetting(f"{PREFIX}{name.upper()}={_shown(name, value)}: {reason}") from None
    settings = msgspec.convert(values, Settings, strict=False)
    _check(settings)
    return settings


def _shown(name: str, value: str) -> str:
    """Return a value as an error line may show it."""
    if name == "admin_key":
        return "(not shown)"
    return mask(value) if name == "redis_url" else repr(value)


def unknown_names(environ: Mapping[str, str]) -> list[str]:
    """Return SOLDOUT_ variables that no program of ours reads: most likely misspelled."""
    ours = {name for name in environ if name.startswith(PREFIX) and not name.startswith(OF_OTHERS)}
    return sorted(ours - _known_names())


def nearest_name(unknown: str) -> str | None:
    """Return the name that is most likely meant, without which a reader would have to search."""
    from difflib import get_close_matches  # noqa: PLC0415 - for a misspelling; no start waits for it

    known = {name.removeprefix(PREFIX): name for name in _known_names()}
    near = get_close_matches(unknown.removeprefix(PREFIX), known, n=1, cutoff=ALIKE)
    return known[near[0]] if near else None


def _known_names() -> set[str]:
    return {PREFIX + name.upper() for name in Settings.__struct_fields__} | READ_ELSEWHERE


def check_redis_is_meant(environ: Mapping[str, str], settings: Settings) -> None:
    """Refuse settings of a Redis that would not be used: a host that should share would sell alone.

    For who is about to sell; whoever only asks a service may have them around. Raises BadSetting.
    """
    given = [name for name in OF_REDIS if environ.get(name, "") != ""]
    if given and settings.lock == "process":
        raise BadSetting(
            f"{given[0]} is given, but {PREFIX}LOCK is process:"
            f" say {PREFIX}LOCK=redis, or leave it out"
        )


def _check(settings: Settings) -> None:
    for name in ("bind", "metrics_bind"):
        address = getattr(settings, name)
        if address is not None and not 1 <= _parse(address)[1] <= 65_535:
            raise BadSetting(f"{PREFIX}{name.upper()}={address!r}: a port is from 1 to 65535")
    if settings.wait_seconds > settings.deadline_seconds:
        raise BadSetting(
            f"{PREFIX}WAIT_SECONDS={settings.wait_seconds:g}: longer than"
            f" {PREFIX}DEADLINE_SECONDS={settings.deadline_seconds:g}"
        )
    if settings.admin_key is not None:
        check_admin_keys([settings.admin_key.strip()], f"{PREFIX}ADMIN_KEY")
    try:
        password = parse(settings.redis_url).password
    except ValueError as error:
        shown = _shown("redis_url", settings.redis_url)
        raise BadSetting(f"{PREFIX}REDIS_URL={shown}: {error}") from None
    if password is not None and settings.redis_password_file is not None:
        raise BadSetting(f"{PREFIX}REDIS_PASSWORD_FILE: {PREFIX}REDIS_URL holds a password already")


def _read_redis_password(path: Path) -> str:
    try:
        password = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BadSetting(f"{PREFIX}REDIS_PASSWORD_FILE={str(path)!r}: {reason}") from None
    if not password:
        raise BadSetting(f"{PREFIX}REDIS_PASSWORD_FILE={str(path)!r}: no password in it")
    return password


def read_admin_keys(settings: Settings) -> list[str]:
    """Return the administration's keys, each as given or as `sha256:<hex>`. Raises BadSetting."""
    if settings.admin_key is not None:
        return [settings.admin_key.strip()]
    path = settings.admin_key_path
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"the admin key file {path} cannot be read: {error}") from None
    keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    check_admin_keys(keys, str(path))
    return keys


def check_admin_keys(keys: list[str], source: str) -> None:
    """Refuse keys that are missing or could be guessed. Raises BadSetting."""
    if not keys:
        raise BadSetting(f"{source}: no admin key in it")
    hashed = [key for key in keys if key.lower().startswith(HASHED_KEY_PREFIX)]
    if not all(re.fullmatch(r"sha256:[0-9a-f]{64}", key) for key in hashed):
        raise BadSetting(f"{source}: sha256: is in small letters, followed by 64 hex digits")
    if any(len(key) < ADMIN_KEY_MIN_CHARACTERS for key in keys):
        raise BadSetting(f"{source}: shorter than {ADMIN_KEY_MIN_CHARACTERS} characters")
    if not all(key.isascii() and key.isprintable() for key in keys):
        raise BadSetting(f"{source}: a key is printable ASCII, or no header could carry it")


def make_admin_key(settings: Settings) -> None:
    """Make a key at the first start, readable by this user only, unless one is given."""
    path = settings.admin_key_path
    if settings.admin_key is not None or settings.admin_key_file is not None or path.exists():
        read_admin_keys(settings)
        return
    draft = path.with_suffix(".new")  # under its own name only when it is whole
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
