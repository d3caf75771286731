"""A worker of a Redis ledger in the test's own process, and frames on the stream for it."""

from __future__ import annotations

import os
import time
import uuid
from typing import Final

from tests.contract.redis_places import server_at
from tests.servers.redis_server import RedisServer
from workers.codec import encode
from workers.domain import Command
from workers.handoffs.redis_stream import RedisInbox
from workers.hearts import Hearts
from workers.ledgers.redis import RedisLedger
from workers.locks import RedisLock
from workers.shards.keys import Keys
from workers.shards.link import Link, Script
from workers.shards.turn import Turn
from workers.worker import Worker

IN_GOOD_TIME_MS: Final = 1 << 45  # of difference between the tests' clock and Redis' own
PATIENCE_SECONDS: Final = 20.0
KEYS: Final = Keys(1)


def send(url: str, *commands: Command) -> None:
    """Put a frame on the stream, as a web process does."""
    server = server_at(url)
    identity = server.identity()
    link = server.link(1)
    append(link, identity.id if identity else "", IN_GOOD_TIME_MS, *commands)
    link.close()
    server.close()


def append(link: Link, ledger: str, offset_ms: int, *commands: Command) -> None:
    """Append a frame, as a lane does that has sent none before."""
    keys = [KEYS.meta, KEYS.lock, KEYS.wake, KEYS.commands, KEYS.lane(uuid.uuid4().hex)]
    frame = (len(commands), "name", 1, offset_ms, encode(list(commands)))
    assert link.run(Script("append"), keys, ledger, "", 1_000, 60_000, *frame) == b"appended"


def worker_of(turn: Turn, tmp_hearts: Hearts, number: int = 1) -> Worker:
    """Return a worker as a pool makes it."""
    heart = tmp_hearts.start(number, os.getpid())
    return Worker(RedisInbox(turn), RedisLock(turn), RedisLedger(turn), heart, turn.now, 512)


def settle_all(worker: Worker, redis: RedisServer) -> None:
    """Have a worker work until nothing waits, however often it fails."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while redis.ask("XLEN", KEYS.commands):
        worker.run_once(0.05)
        assert time.monotonic() < limit, "frames are left"
