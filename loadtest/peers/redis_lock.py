"""redis-py's `Lock` around GET and SET: look under the lock, decide in Python, write, let go.

The way its documentation shows: one lock for each event, with a timeout, so that who died with it
does not keep it for ever. It sells exactly as long as nobody sleeps past that timeout with the lock
in its hands: the lock has no fencing token. Who waits polls every 0.1 s, redis-py's default.
Measured with 64 connections: 130 sales a second so, 60 polling every 10 ms, 14 every 2 ms.

    python -m loadtest.peers.redis_lock --port 8004 --store-url redis://127.0.0.1:6379/0

Ends by its process id; the Redis is somebody else's to start, with `appendfsync always`.
"""

from __future__ import annotations

import os
from typing import Any, Final

import redis
from flask import Flask
from redis.backoff import NoBackoff
from redis.exceptions import LockError
from redis.retry import Retry

from loadtest.peers import box_office
from loadtest.peers.box_office import Faults, Reply, Sold, SoldOut, UnknownEvent
from loadtest.servers import GEVENT_FLAGS

LOCK_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 30.0
CONNECTIONS_MAX: Final = 512


class LockedStock:
    """A count and the orders, each in a key of its own."""

    faults: Faults = (redis.ConnectionError, redis.TimeoutError, LockError)

    def __init__(self, url: str) -> None:
        self._redis: Any = redis.Redis.from_url(  # its types know text and bytes, not which
            url, max_connections=CONNECTIONS_MAX, retry=Retry(NoBackoff(), 0)
        )

    def sell(self, key: str, event: str, quantity: int, order: bytes) -> Reply:
        """Look, decide and write under the event's lock."""
        with self._redis.lock(
            f"lock:{event}",
            timeout=LOCK_SECONDS,
            blocking_timeout=PATIENCE_SECONDS,
        ):
            return self._sell_under_lock(key, event, quantity, order)

    def _sell_under_lock(self, key: str, event: str, quantity: int, order: bytes) -> Reply:
        kept, capacity, sold = self._redis.mget(
            f"order:{key}", f"capacity:{event}", f"sold:{event}"
        )
        if kept is not None:
            first, _, earlier = kept.partition(b" ")
            return Sold(int(first), earlier)
        if capacity is None:
            return UnknownEvent()
        if quantity > int(capacity) - int(sold):
            return SoldOut(int(capacity) - int(sold))
        first = int(sold) + 1
        both = {f"sold:{event}": int(sold) + quantity, f"order:{key}": b"%d %s" % (first, order)}
        self._redis.mset(both)  # one command: both or nothing, and one fsync
        return Sold(first)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Read the counters."""
        found = {}
        for name in sorted(self._redis.smembers("events")):
            event = name.decode()
            capacity, sold = self._redis.mget(f"capacity:{event}", f"sold:{event}")
            found[event] = int(capacity), int(sold)
        return found


def create_app() -> Flask:
    """Return the app for gunicorn. Call it after any fork."""
    return box_office.create_app(LockedStock(os.environ["PEER_STORE_URL"]))


def main() -> None:
    """Put the events on sale, unless they are already, and become gunicorn."""
    options = box_office.arguments("loadtest.peers.redis_lock").parse_args()
    with redis.Redis.from_url(options.store_url) as client:
        for event, capacity in box_office.on_sale(options).items():
            client.sadd("events", event)
            client.setnx(f"sold:{event}", 0)
            client.setnx(f"capacity:{event}", capacity)
    box_office.become_web("loadtest.peers.redis_lock", options, *GEVENT_FLAGS)


if __name__ == "__main__":
    main()
