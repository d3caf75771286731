"""No workers: each request calls one Lua script in Redis by itself, which decides and writes.

It is plain Flask; with --lean it spares itself what soldout's own web does. Both ways of
redis_lines.py to speak to Redis cost less than redis-py's own.

    python -m loadtest.peers.redis_lua --port 8003 --store-url redis://127.0.0.1:6379/0

Ends by its process id; the Redis is somebody else's to start, with `appendfsync always`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha1
from pathlib import Path
from typing import Any, Final

import redis
from flask import Flask

from loadtest.peers import box_office
from loadtest.peers.box_office import Faults, Reply, Sold, SoldOut, UnknownEvent
from loadtest.peers.redis_lines import LINES, Line
from loadtest.servers import GEVENT_FLAGS

SCRIPT: Final = Path(__file__).with_suffix(".lua").read_bytes()
SHA: Final = sha1(SCRIPT, usedforsecurity=False).hexdigest()


class RedisStock:
    """Sells by the script, over a line to Redis."""

    faults: Faults = (redis.ConnectionError, redis.TimeoutError)

    def __init__(self, ask: Line) -> None:
        self.ask = ask

    def sell(self, key: str, event: str, quantity: int, order: bytes) -> Reply:
        """Run the script."""
        keys = (f"order:{key}", f"event:{event}", f"journal:{event}")
        arguments = (len(keys), *keys, quantity, order)
        try:
            return read_reply(self.ask("EVALSHA", SHA, *arguments))
        except redis.exceptions.NoScriptError:  # nothing was run
            return read_reply(self.ask("EVAL", SCRIPT, *arguments))

    def counts(self) -> dict[str, tuple[int, int]]:
        """Read the counters."""
        found = {}
        for event in sorted(self.ask("SMEMBERS", "events")):
            name = event.decode()
            capacity, sold = map(int, self.ask("HMGET", f"event:{name}", "capacity", "sold"))
            found[name] = capacity, sold
        return found


def read_reply(reply: list[Any]) -> Reply:
    """Read what the script returned."""
    match reply:
        case [b"sold", first]:
            return Sold(first)
        case [b"replayed", kept]:
            number, _, text = kept.partition(b" ")
            return Sold(int(number), text)
        case [b"sold-out", remaining]:
            return SoldOut(remaining)
    return UnknownEvent()


def put_on_sale(url: str, on_sale: Mapping[str, int]) -> None:
    """Put events on sale, those that are not already."""
    with redis.Redis.from_url(url) as client:
        client.script_load(SCRIPT)
        for event, capacity in on_sale.items():
            client.sadd("events", event)
            client.hsetnx(f"event:{event}", "sold", "0")
            client.hsetnx(f"event:{event}", "capacity", str(capacity))


def create_app() -> Flask:
    """Return the app for gunicorn. Call it after any fork."""
    ask = LINES[os.environ["PEER_LINE"]](os.environ["PEER_STORE_URL"])
    return box_office.create_app(RedisStock(ask))


def main() -> None:
    """Put the events on sale and become gunicorn."""
    parser = box_office.arguments("loadtest.peers.redis_lua")
    parser.add_argument("--line", choices=LINES, default="pool")
    parser.add_argument("--lean", action="store_true")
    options = parser.parse_args()
    put_on_sale(options.store_url, box_office.on_sale(options))
    os.environ |= {"PEER_LINE": options.line, "PEER_LEAN": str(int(options.lean))}
    flags = () if options.lean else GEVENT_FLAGS
    box_office.become_web("loadtest.peers.redis_lua", options, *flags)


if __name__ == "__main__":
    main()
