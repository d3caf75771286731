"""Servers that tests may ask for.

Shared by all tests and empty at each test's start: `redis_server`, `any_redis` (once for each kind
of server), `redis_cluster`, `any_cluster`, `redis_sentinel`, `any_sentinel`. A test may kill, pause
or fail over what it got; whoever comes next finds it mended. Who changes its configuration takes
`fresh_redis`, a server of the test's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Final, TypeAlias, TypeVar

import pytest

from tests.servers.cutter import Cutter
from tests.servers.programs import FLAVOURS, Flavour
from tests.servers.redis_cluster import RedisCluster
from tests.servers.redis_sentinel import Sentinel
from tests.servers.redis_server import RedisServer

# Clusters and Sentinels take seconds to agree: of these the second kind is for the long run.
SLOW_FLAVOURS: Final = [
    FLAVOURS[0],
    *(pytest.param(flavour, marks=pytest.mark.long) for flavour in FLAVOURS[1:]),
]

Lendable = TypeVar("Lendable", RedisServer, RedisCluster, Sentinel)
Servers: TypeAlias = Callable[[Flavour], RedisServer]
Clusters: TypeAlias = Callable[[Flavour], RedisCluster]
Sentinels: TypeAlias = Callable[[Flavour], Sentinel]


def _shared(make: Callable[[Flavour], Lendable]) -> Iterator[Callable[[Flavour], Lendable]]:
    """Start one of each kind when it is first wanted, and end them all at last."""
    with ExitStack() as stack:

        @cache
        def started(flavour: Flavour) -> Lendable:
            return stack.enter_context(make(flavour))

        yield started


def _lent(thing: Lendable) -> Iterator[Lendable]:
    """Give it away mended and empty, and take it back."""
    thing.mend()
    yield thing
    thing.close_clients()


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[Servers]:
    yield from _shared(RedisServer)


@pytest.fixture(scope="session")
def shared_clusters() -> Iterator[Clusters]:
    yield from _shared(RedisCluster)


@pytest.fixture(scope="session")
def shared_sentinels() -> Iterator[Sentinels]:
    yield from _shared(Sentinel)


@pytest.fixture
def redis_server(shared_servers: Servers) -> Iterator[RedisServer]:
    """An empty server."""
    yield from _lent(shared_servers(FLAVOURS[0]))


@pytest.fixture(params=FLAVOURS)
def any_redis(request: pytest.FixtureRequest, shared_servers: Servers) -> Iterator[RedisServer]:
    """An empty server, of each kind in turn."""
    yield from _lent(shared_servers(request.param))


@pytest.fixture
def fresh_redis() -> Iterator[RedisServer]:
    """A server of the test's own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def cutter(redis_server: RedisServer) -> Iterator[Cutter]:
    """A way to `redis_server` that can be cut."""
    with Cutter(redis_server.port) as cutter:
        yield cutter


@pytest.fixture
def redis_cluster(shared_clusters: Clusters) -> Iterator[RedisCluster]:
    """An empty Cluster."""
    yield from _lent(shared_clusters(FLAVOURS[0]))


@pytest.fixture(params=SLOW_FLAVOURS)
def any_cluster(
    request: pytest.FixtureRequest, shared_clusters: Clusters
) -> Iterator[RedisCluster]:
    """An empty Cluster, of each kind in turn."""
    yield from _lent(shared_clusters(request.param))


@pytest.fixture
def redis_sentinel(shared_sentinels: Sentinels) -> Iterator[Sentinel]:
    """A Sentinel with an empty master and its replica."""
    yield from _lent(shared_sentinels(FLAVOURS[0]))


@pytest.fixture(params=SLOW_FLAVOURS)
def any_sentinel(request: pytest.FixtureRequest, shared_sentinels: Sentinels) -> Iterator[Sentinel]:
    """A Sentinel with an empty master and its replica, of each kind in turn."""
    yield from _lent(shared_sentinels(request.param))
