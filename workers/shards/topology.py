"""Where the server of a key is: one server, the master Sentinel names, or a node of a cluster."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, NamedTuple, Protocol

from redis.backoff import NoBackoff
from redis.connection import SSLConnection, UnixDomainSocketConnection
from redis.crc import key_slot
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from workers.errors import LedgerFault
from workers.redis_url import RedisUrl
from workers.shards.link import CONNECT_SECONDS, Link

Options = dict[str, Any]  # of a redis-py connection


class SlotRange(NamedTuple):
    """Slots of a cluster, both ends included, and where their master is."""

    first: int
    last: int
    master: tuple[str, int]


class Topology(Protocol):
    """Says how to connect; what it says may change after `forget`."""

    def place_of(self, key: str) -> Options:
        """Return the options of a connection to the server of this key. Raises LedgerFault."""

    def masters(self) -> list[Options]:
        """Return the options for each server that holds keys. Raises LedgerFault."""

    def forget(self) -> None:
        """Look anew where the servers are, the next time."""

    def close(self) -> None:
        """Let go of the connections that it asks on."""


class OneServer:
    """A server that stays where it is."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def place_of(self, key: str) -> Options:  # noqa: ARG002 - one for all
        """Return where it is."""
        return dict(self._options)

    def masters(self) -> list[Options]:
        """Return where it is."""
        return [dict(self._options)]

    def forget(self) -> None:
        """It stays where it is."""

    def close(self) -> None:
        """It asks nobody."""


class SentinelMaster:
    """The server that a majority of Sentinels calls the master of this name."""

    def __init__(self, hosts: list[tuple[str, int]], name: str, options: Options) -> None:
        self._name = name
        self._options = options
        tls = {k: v for k, v in options.items() if k.startswith("ssl_")}
        if options.get("connection_class"):
            tls["ssl"] = True
        timeouts = {"socket_timeout": CONNECT_SECONDS, "socket_connect_timeout": CONNECT_SECONDS}
        self._sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types here
            hosts,
            sentinel_kwargs=timeouts | tls | {"retry": Retry(NoBackoff(), 0), "protocol": 2},
        )
        self._found: tuple[str, int] | None = None

    def place_of(self, key: str) -> Options:  # noqa: ARG002 - one for all
        """Ask the Sentinels, once until `forget`."""
        if self._found is None:
            try:
                self._found = self._sentinel.discover_master(self._name)  # type: ignore[no-untyped-call]
            except (RedisError, OSError) as error:
                raise LedgerFault(f"Sentinel names no master {self._name!r}: {error}") from error
        host, port = self._found
        return self._options | {"host": host, "port": port}

    def masters(self) -> list[Options]:
        """Return where the master is."""
        return [self.place_of("")]

    def forget(self) -> None:
        """Ask again, the next time."""
        self._found = None

    def close(self) -> None:
        """Let go of the Sentinels."""
        self.forget()
        for sentinel in self._sentinel.sentinels:
            sentinel.close()


class ClusterNodes:
    """The masters of a Redis Cluster, by the slot of a key.

    Whichever node answers first says which master holds which slots. redis-py's own cluster client
    would keep connections to all nodes, and ask each for all its commands, to know as much.
    """

    def __init__(self, hosts: list[tuple[str, int]], options: Options) -> None:
        self._hosts = hosts
        self._options = options
        self._ranges: list[SlotRange] = []
        self._one_asks = threading.Lock()  # of the greenlets that share it

    def place_of(self, key: str) -> Options:
        """Return where the master of this key's slot is."""
        slot = key_slot(key.encode())
        for found in self._known():
            if found.first <= slot <= found.last:
                return self._at(found.master)
        raise LedgerFault(f"no master of the cluster holds the slot of {key}")

    def masters(self) -> list[Options]:
        """Return where each master is."""
        return [self._at(master) for master in sorted({found.master for found in self._known()})]

    def forget(self) -> None:
        """Ask anew which node holds what, the next time."""
        self._ranges = []

    def close(self) -> None:
        """It keeps no connection."""

    def _at(self, address: tuple[str, int]) -> Options:
        host, port = address
        return self._options | {"host": host, "port": port}

    def _known(self) -> list[SlotRange]:
        with self._one_asks:
            if not self._ranges:
                self._ranges = self._ask()
            return self._ranges

    def _ask(self) -> list[SlotRange]:
        """Ask one node after the other. Raises LedgerFault with what the last one said."""
        last = LedgerFault("the cluster has no nodes")
        for host, port in self._hosts:
            place = self._at((host, port)) | {"socket_timeout": CONNECT_SECONDS}
            link = Link(partial(dict, place), self.forget)
            try:
                [slots] = link.ask(("CLUSTER", "SLOTS"))
                return [
                    # A node that knows no name for a master means itself.
                    SlotRange(start, end, ((name or b"").decode() or host, master_port))
                    for start, end, (name, master_port, *_), *_ in slots
                ]
            except LedgerFault as fault:
                last = fault
            finally:
                link.close()
        raise LedgerFault(f"the cluster cannot be reached: {last}") from last


def topology_of(url: RedisUrl) -> Topology:
    """Return what a URL names."""
    options: Options = {"db": url.db, "username": url.username, "password": url.password}
    if url.tls:
        options |= {"connection_class": SSLConnection, **url.tls_options}
    match url.kind:
        case "server":
            host, port = url.addresses[0]
            return OneServer(options | {"host": host, "port": port})
        case "socket":
            return OneServer(
                options | {"connection_class": UnixDomainSocketConnection, "path": url.path}
            )
        case "sentinel":
            return SentinelMaster(url.addresses, url.master, options)
        case "cluster":
            del options["db"]
            return ClusterNodes(url.addresses, options)
