"""Where the server of a key is: one server, the master Sentinel names, or a node of a cluster."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import SSLConnection, UnixDomainSocketConnection
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from workers.errors import LedgerFault
from workers.redis_url import RedisUrl
from workers.shards.link import CONNECT_SECONDS

Options = dict[str, Any]  # of a redis-py connection


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
    """The masters of a Redis Cluster, by the slot of a key."""

    def __init__(self, hosts: list[tuple[str, int]], options: Options) -> None:
        self._hosts = hosts
        self._options = options
        self._cluster: RedisCluster | None = None
        self._one_asks = threading.Lock()  # of the greenlets that share it

    def place_of(self, key: str) -> Options:
        """Return where the master of this key's slot is."""
        try:
            node = self._known().get_node_from_key(key)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            raise LedgerFault(f"the cluster cannot be reached: {error}") from error
        if node is None:
            raise LedgerFault(f"no master of the cluster holds the slot of {key}")
        return self._options | {"host": node.host, "port": node.port}

    def masters(self) -> list[Options]:
        """Return where each master is."""
        try:
            nodes = self._known().get_primaries()  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            raise LedgerFault(f"the cluster cannot be reached: {error}") from error
        return [self._options | {"host": node.host, "port": node.port} for node in nodes]

    def forget(self) -> None:
        """Ask the nodes anew which of them holds what, the next time."""
        with self._one_asks:
            if self._cluster is not None:
                self._cluster.close()
                self._cluster = None

    def close(self) -> None:
        """Let go of the nodes."""
        self.forget()

    def _known(self) -> RedisCluster:
        with self._one_asks:
            return self._ask()

    def _ask(self) -> RedisCluster:
        if self._cluster is None:
            options = dict(self._options)
            if options.pop("connection_class", None):
                options["ssl"] = True
            self._cluster = RedisCluster(
                startup_nodes=[ClusterNode(host, port) for host, port in self._hosts],  # type: ignore[no-untyped-call]
                retry=Retry(NoBackoff(), 0),
                socket_timeout=CONNECT_SECONDS,
                socket_connect_timeout=CONNECT_SECONDS,
                protocol=2,
                **options,
            )
        return self._cluster


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
