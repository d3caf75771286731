"""Where the contracts meet Redis: a ledger's place, a hand-off's meeting, and locks."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import gevent
import gevent.socket
import msgspec
import pytest
import redis.connection

from workers.handoffs.redis_stream import RedisInbox, RedisLane
from workers.ledgers.redis import RedisLedger
from workers.ledgers.redis_reader import RedisReader
from workers.locks import RedisLock
from workers.settings import Settings
from workers.shards.memory import Memory
from workers.shards.notes import Notes
from workers.shards.server import Server, open_server
from workers.shards.turn import Turn

TTL_MS = 2_000


def server_at(url: str, **settings: object) -> Server:
    """Return a process's view of a Redis; it keeps nothing on the disk."""
    asked = msgspec.convert({"redis_url": url, **settings}, Settings)
    server = open_server(asked)
    server.memory = Memory(Notes(None), strict=asked.redis_durability == "strict")
    return server


def turn_at(url: str, worker: int, ttl_ms: int = TTL_MS, shard: int = 1) -> Turn:
    """Return a worker's turn at a shard of a Redis."""
    return Turn(server_at(url), shard, owner=f"worker-{worker}", ttl_ms=ttl_ms)


class RedisPlace:
    """One Redis, and in it one shard."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._workers = 0

    def ledger(self) -> RedisLedger:
        self._workers += 1
        return RedisLedger(turn_at(self.url, self._workers))

    def reader(self) -> RedisReader:
        return RedisReader(server_at(self.url))


class RedisMeeting:
    """One Redis, where workers and web processes meet."""

    def __init__(self, url: str, ttl_ms: int = TTL_MS) -> None:
        self.url = url
        self.ttl_ms = ttl_ms
        self._pid = os.getpid()

    def inbox(self, worker: int) -> RedisInbox:
        if os.getpid() != self._pid:  # a worker of its own process is no web process
            redis.connection.socket = socket  # type: ignore[attr-defined]
        return RedisInbox(turn_at(self.url, worker, self.ttl_ms))

    def lane(self, worker: int) -> RedisLane:  # noqa: ARG002 - one way to all workers
        return LaneWithoutClock(server_at(self.url), 1)


class LaneWithoutClock(RedisLane):
    """A lane that takes its own clock for Redis': commands arrive as they were sent."""

    def _learn_clock(self) -> None:
        pass

    def close(self) -> None:
        super().close()
        self._server.close()


@contextmanager
def redis_locks(url: str, ttl_ms: int = TTL_MS) -> Iterator[Callable[[int], RedisLock]]:
    """Give what makes a worker's lock, in the process that uses it."""
    with ExitStack() as made_here:

        def lock_of(worker: int) -> RedisLock:
            turn = turn_at(url, worker, ttl_ms)
            made_here.callback(turn.close)
            return RedisLock(turn)

        yield lock_of


def wait_as_greenlets_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have lanes wait as in a web process, which gevent patches at its start."""
    monkeypatch.setattr(redis.connection, "socket", gevent.socket)
