"""Who competes in the benchmark. A further rival is a further `Rival` with a way to serve it.

In: nothing. Out: for each rival a context in which it listens on 127.0.0.1 and sells the event
`bench`, with more tickets than any round can sell.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import requests

from loadtest.referee import Referee
from loadtest.servers import LOOPBACK, Server, answers, free_port, peer, redis, running, soldout

TICKETS = 50_000_000
WEB_PROCESSES = 2
EVENT = "bench"
PURCHASE = {"event": EVENT, "quantity": 1, "buyer": "ann@example.com"}


@dataclass(frozen=True)
class Rival:
    """A server that speaks `POST /buy`, and whether it can tell how many tickets it has sold."""

    name: str
    serve: Callable[[], AbstractContextManager[Server]]
    keeps_count: bool = True


@contextmanager
def soldout_embedded() -> Iterator[Server]:
    """Serve soldout as it comes, but for the number of web processes, which is the rivals' too."""
    with soldout(web_processes=WEB_PROCESSES) as server:
        put_on_sale(server)
        yield server


@contextmanager
def soldout_redis() -> Iterator[Server]:
    """Serve soldout as it comes on a Redis of its own."""
    with (
        redis() as store,
        soldout(web_processes=WEB_PROCESSES, lock="redis", redis_url=store.url) as server,
    ):
        put_on_sale(server)
        yield replace(server, store_pid=store.pid)


def put_on_sale(server: Server) -> None:
    """Create the event. The answer must go: while it is kept, its connection delays a drain."""
    requests.put(
        f"{server.url}/events/{EVENT}",
        json={"capacity": TICKETS},
        headers={"Authorization": f"Bearer {server.admin_key}"},
        timeout=10,
    ).raise_for_status()


@contextmanager
def empty_view() -> Iterator[Server]:
    """Serve the empty view as soldout serves its web: the same gunicorn, settings and titles."""
    url = f"http://{LOOPBACK}:{(port := free_port())}"
    command = [
        *(sys.executable, "-m", "gunicorn", "--config", "python:service.gunicorn_conf"),
        "loadtest.peers.empty_view:create_app()",
    ]
    settings = {
        "SOLDOUT_BIND": f"{LOOPBACK}:{port}",
        "SOLDOUT_WEB_PROCESSES": str(WEB_PROCESSES),
    }
    with running(command, lambda: answers(f"{url}/readyz"), os.environ | settings) as pid:
        yield Server(url, pid)


@contextmanager
def redis_lua(line: str, *more: str) -> Iterator[Server]:
    """Serve the rival without workers, on a Redis as durable as soldout's own."""
    with redis() as store:
        arguments = {
            "redis-url": store.url,
            "line": line,
            "event": EVENT,
            "capacity": str(TICKETS),
            "web-processes": str(WEB_PROCESSES),
        }
        flags = [f"--{name}={value}" for name, value in arguments.items()]
        with peer("redis_lua", *flags, *more) as server:
            yield replace(server, store_pid=store.pid)


CEILING = Rival("empty view", empty_view, keeps_count=False)
EMBEDDED = Rival("soldout embedded", soldout_embedded)
ON_REDIS = Rival("soldout on Redis", soldout_redis)
LUA = Rival("Lua, no workers", partial(redis_lua, "pool"))
LEAN = Rival("Lua, soldout's web", partial(redis_lua, "pool", "--lean"))
PIPELINED = Rival("Lua, one pipeline", partial(redis_lua, "pipeline", "--lean"))
RIVALS = {
    "empty": CEILING,
    "soldout": EMBEDDED,
    "soldout_redis": ON_REDIS,
    "redis_lua": LUA,
    "redis_lua_lean": LEAN,
    "redis_lua_pipelined": PIPELINED,
}


def tickets_sold(server: Server) -> int:
    """Ask a rival that keeps count how many tickets it has sold by now."""
    with closing(Referee(server.url, server.admin_key)) as referee:
        return referee.last_look(EVENT).sold
