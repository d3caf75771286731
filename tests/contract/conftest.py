"""A worker that several tests of the Redis contracts ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.redis_places import turn_at
from tests.contract.redis_workers import send, settle_all, worker_of
from tests.servers.redis_server import RedisServer
from tests.unit.builders import gala, put
from workers.hearts import Hearts
from workers.worker import Worker


@pytest.fixture
def hearts(tmp_path_factory: pytest.TempPathFactory) -> Hearts:
    return Hearts(tmp_path_factory.mktemp("hearts") / "hearts", 4, create=True)


@pytest.fixture
def worker(redis_server: RedisServer, hearts: Hearts) -> Iterator[Worker]:
    """A worker of a ledger that has ten tickets of the gala."""
    turn = turn_at(redis_server.url, 1)
    worker = worker_of(turn, hearts)
    send(redis_server.url, put(gala(10)))
    settle_all(worker, redis_server)
    yield worker
    turn.close()
