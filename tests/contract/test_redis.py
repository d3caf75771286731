"""Redis: its ledger, lock and hand-off owe what the embedded ones owe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.handoff_contract import HandoffContract
from tests.contract.ledger_contract import LedgerContract
from tests.contract.lock_contract import LockContract, LockOf
from tests.contract.redis_places import (
    RedisMeeting,
    RedisPlace,
    redis_locks,
    wait_as_greenlets_do,
)
from tests.servers.redis_server import RedisServer


@pytest.fixture(scope="module", params=["redis", "valkey"])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(request.param) as server:
        yield server


@pytest.fixture
def url(server: RedisServer) -> str:
    """A Redis with nothing in it."""
    server.flush()
    return server.url


class TestRedisLedger(LedgerContract):
    @pytest.fixture
    def place(self, url: str) -> RedisPlace:
        return RedisPlace(url)


class TestRedisLock(LockContract):
    @pytest.fixture
    def lock_of(self, url: str) -> Iterator[LockOf]:
        with redis_locks(url) as lock_of:
            yield lock_of


class TestRedisStream(HandoffContract):
    @pytest.fixture
    def meeting(self, url: str, monkeypatch: pytest.MonkeyPatch) -> RedisMeeting:
        wait_as_greenlets_do(monkeypatch)
        return RedisMeeting(url, ttl_ms=500)
