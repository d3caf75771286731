"""A Redis URL, taken apart: one server, a Sentinel's master or a Cluster. And how it may be shown.

    redis://user:password@host:6379/0                 rediss:// is the same over TLS
    unix:///run/redis.sock?db=0
    redis+sentinel://host:26379,host:26379/master/0
    redis+cluster://host:7001,host:7002               rediss+… are the same over TLS

Options of TLS stand in the query: ssl_ca_certs, ssl_certfile, ssl_keyfile, ssl_cert_reqs. What is
wrong is a ValueError, whose text has no secret.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote

from msgspec import Struct

Kind: TypeAlias = Literal["server", "socket", "sentinel", "cluster"]

REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
DB_MAX: Final = 65_535
TLS_OPTIONS: Final = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"})
CERT_REQS: Final = frozenset({"required", "optional", "none"})
KINDS: Final[dict[str, Kind]] = {
    "redis": "server",
    "rediss": "server",
    "unix": "socket",
    "redis+sentinel": "sentinel",
    "rediss+sentinel": "sentinel",
    "redis+cluster": "cluster",
    "rediss+cluster": "cluster",
}

_HOST = r"(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?"
_ADDRESS = re.compile(r"(?P<host>[\w.-]+|\[.*\])(?::(?P<port>[0-9]+))?")
_URL = re.compile(
    r"(?P<scheme>unix|rediss?(?:\+sentinel|\+cluster)?)://"
    r"(?:(?P<username>[^@/?#:\s]*)(?P<secret>:(?P<password>[^@/?#\s]*))?@)?"
    rf"(?P<hosts>(?:{_HOST}(?:,{_HOST})*)?)(?P<path>(?:/[^@?#:\s]*)?)(?:\?(?P<query>[^@#\s]*))?",
    re.ASCII,
)


class RedisUrl(Struct, frozen=True):
    """The parts of a Redis URL, with defaults filled in and percent signs decoded."""

    kind: Kind
    addresses: list[tuple[str, int]]  # none for a socket
    path: str  # of a socket
    master: str  # of a Sentinel: the name of what it watches
    db: int
    username: str | None
    password: str | None
    tls: bool
    tls_options: dict[str, str]  # as the driver calls them


def mask(url: str) -> str:
    """Return a URL as people may see it. One that is not well formed may have a secret anywhere."""
    found = _URL.fullmatch(url)
    if found is None:
        return "(not shown)"
    credentials = ""
    if found["username"] is not None:  # alone it is most likely a password, with its colon missing
        credentials = f"{found['username']}:***@" if found["secret"] else "***@"
    return f"{found['scheme']}://{credentials}{found['hosts']}{found['path']}"


def parse(url: str) -> RedisUrl:
    """Take a URL apart. Raises ValueError, whose text says what is wrong."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError(
            "not like redis://127.0.0.1:6379/0; in a password @ is written %40, : %3A, / %2F"
        )
    kind = KINDS[found["scheme"]]
    options = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
    path, master, db = _place(kind, unquote(found["path"]), options.pop("db", None))
    if (kind == "socket") == bool(found["hosts"]):
        raise ValueError("a path and no host" if kind == "socket" else "a host is missing")
    tls = found["scheme"].startswith("rediss")
    _check_tls(options, tls)
    return RedisUrl(
        kind=kind,
        addresses=_addresses(kind, found["hosts"]),
        path=path,
        master=master,
        db=db,
        username=unquote(found["username"] or "") or None,
        password=unquote(found["password"] or "") or None,
        tls=tls,
        tls_options=options,
    )


def _place(kind: Kind, path: str, asked_db: str | None) -> tuple[str, str, int]:
    """Return the path of a socket, the name of a master, and the number of the database."""
    parts = path.strip("/").split("/")
    if kind == "socket":
        if not path.strip("/"):
            raise ValueError("the socket's path is missing")
        return path, "", _read_db(asked_db or "0")
    if asked_db is not None:
        raise ValueError("the database is the last part of the path")
    if kind == "sentinel":
        if not parts[0] or len(parts) > 2:
            raise ValueError("its path is /master or /master/db")
        return "", parts[0], _read_db(parts[1] if len(parts) == 2 else "0")
    if len(parts) > 1:
        raise ValueError("its path is the number of a database")
    db = _read_db(parts[0] or "0")
    if kind == "cluster" and db != 0:
        raise ValueError("a cluster has database 0 only")
    return "", "", db


def _read_db(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > DB_MAX:
        raise ValueError("the number of a database is missing or wrong")
    return int(text)


def _addresses(kind: Kind, hosts: str) -> list[tuple[str, int]]:
    default = SENTINEL_PORT if kind == "sentinel" else REDIS_PORT
    found = [re.fullmatch(_ADDRESS, address) for address in hosts.split(",") if address]
    addresses = [(a["host"].strip("[]"), int(a["port"] or default)) for a in found if a]
    if not all(1 <= port <= 65_535 for _, port in addresses):
        raise ValueError("a port is from 1 to 65535")
    if kind == "server" and len(addresses) > 1:
        raise ValueError("several hosts are for redis+sentinel:// and redis+cluster://")
    return addresses


def _check_tls(options: dict[str, str], tls: bool) -> None:
    if options.keys() - TLS_OPTIONS:
        raise ValueError(f"its options are {', '.join(sorted(TLS_OPTIONS))} and nothing else")
    if options and not tls:
        raise ValueError("options of TLS are for rediss")
    if options.get("ssl_cert_reqs", "required") not in CERT_REQS:
        raise ValueError("ssl_cert_reqs is required, optional or none")
