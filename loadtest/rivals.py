"""Who competes in the benchmark. A further rival is a further `Rival` with a way to serve it.

In: what is to be on sale. Out: for each rival a context in which it listens on 127.0.0.1 and sells
that; and for a rival whose needs are not installed, what to install.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import requests

from loadtest.postgres import postgres, postgres_programs
from loadtest.servers import (
    GEVENT_FLAGS,
    LOOPBACK,
    Server,
    answers,
    free_port,
    peer,
    redis,
    running,
    soldout,
)

WEB_PROCESSES = 2
FRESH_SECONDS = 5.0  # `/remaining` may be 250 ms old

OnSale = Mapping[str, int]
Serve = Callable[[OnSale], AbstractContextManager[Server]]


@dataclass(frozen=True)
class Rival:
    """A server that speaks `POST /buy`, and whether it can tell how many tickets it has sold.

    `module` is the Python package that it needs besides.
    """

    name: str
    serve: Serve
    keeps_count: bool = True
    module: str | None = None
    needs_postgres: bool = False

    def missing(self) -> str | None:
        """Return how to get what is missing on this machine, if anything is."""
        if self.module and importlib.util.find_spec(self.module) is None:
            return "make .venv/.bench"
        if self.needs_postgres and postgres_programs() is None:
            return "apt-get install postgresql"
        return None


@contextmanager
def soldout_embedded(on_sale: OnSale) -> Iterator[Server]:
    """Serve soldout as it comes, but for the number of web processes, which is the rivals' too."""
    with soldout(web_processes=WEB_PROCESSES) as server:
        put_on_sale(server, on_sale)
        yield server


@contextmanager
def soldout_redis(on_sale: OnSale) -> Iterator[Server]:
    """Serve soldout as it comes on a Redis of its own."""
    with (
        redis() as store,
        soldout(web_processes=WEB_PROCESSES, lock="redis", redis_url=store.url) as server,
    ):
        put_on_sale(server, on_sale)
        yield replace(server, store_pids=(store.pid,), store_url=store.url)


def put_on_sale(server: Server, on_sale: OnSale) -> None:
    """Create events. The answers must go: while one is kept, its connection delays a drain."""
    with requests.Session() as session:
        for event, capacity in on_sale.items():
            session.put(
                f"{server.url}/events/{event}",
                json={"capacity": capacity},
                headers={"Authorization": f"Bearer {server.admin_key}"},
                timeout=10,
            ).raise_for_status()


@contextmanager
def empty_view(*flags: str) -> Iterator[Server]:
    """Serve the empty view with soldout's settings, and gunicorn's flags."""
    url = f"http://{LOOPBACK}:{(port := free_port())}"
    command = [
        *(sys.executable, "-m", "gunicorn", "--config", "python:service.gunicorn_conf"),
        *(*flags, "loadtest.peers.empty_view:create_app()"),
    ]
    settings = {
        "SOLDOUT_BIND": f"{LOOPBACK}:{port}",
        "SOLDOUT_WEB_PROCESSES": str(WEB_PROCESSES),
    }
    with running(command, lambda: answers(f"{url}/readyz"), os.environ | settings) as pid:
        yield Server(url, pid)


def selling(
    name: str, store_url: str, on_sale: OnSale, *more: str
) -> AbstractContextManager[Server]:
    """Serve a peer that keeps its stock at an address."""
    return peer(
        name,
        *("--store-url", store_url, "--web-processes", str(WEB_PROCESSES)),
        *("--event", *on_sale, "--capacity", *map(str, on_sale.values())),
        *more,
    )


@contextmanager
def on_redis(name: str, *more: str, on_sale: OnSale) -> Iterator[Server]:
    """Serve a rival on a Redis as durable as soldout's own."""
    with redis() as store, selling(name, store.url, on_sale, *more) as server:
        yield replace(server, store_pids=(store.pid,))


@contextmanager
def queue(name: str, on_sale: OnSale) -> Iterator[Server]:
    """Serve a rival on a durable Redis, with another one that is fast for its queue."""
    with (
        redis() as store,
        redis(durable=False) as broker,
        selling(name, store.url, on_sale, "--broker-url", broker.url) as server,
    ):
        yield replace(server, store_pids=(store.pid, broker.pid))


@contextmanager
def sqlite_alone(on_sale: OnSale) -> Iterator[Server]:
    """Serve the rival that has SQLite in its web processes."""
    with (
        tempfile.TemporaryDirectory(prefix="soldout-peer-") as folder,
        selling("sqlite_alone", str(Path(folder, "stock.db")), on_sale) as server,
    ):
        yield server


@contextmanager
def postgres_alone(on_sale: OnSale) -> Iterator[Server]:
    """Serve the rival on PostgreSQL."""
    with postgres() as store, selling("postgres_alone", store.url, on_sale) as server:
        yield replace(server, store_pids=(store.pid,))


def _on_redis(name: str, *more: str) -> Serve:
    return lambda on_sale: on_redis(name, *more, on_sale=on_sale)


CEILING = Rival("empty view", lambda _: empty_view(*GEVENT_FLAGS), keeps_count=False)
OURS_EMPTY = Rival("empty, soldout's web", lambda _: empty_view(), keeps_count=False)
EMBEDDED = Rival("soldout embedded", soldout_embedded)
ON_REDIS = Rival("soldout on Redis", soldout_redis)
LUA = Rival("Flask + Lua", _on_redis("redis_lua"))
LEAN = Rival("Lua, soldout's web", _on_redis("redis_lua", "--lean"))
PIPELINED = Rival("Lua, one pipeline", _on_redis("redis_lua", "--line=pipeline", "--lean"))
SQLITE = Rival("Flask + SQLite", sqlite_alone)
POSTGRES = Rival("Flask + PostgreSQL", postgres_alone, module="psycopg", needs_postgres=True)
LOCK = Rival("Flask + redis Lock", _on_redis("redis_lock"))
CELERY = Rival("Flask + Celery", partial(queue, "celery_pool"), module="celery")
RQ = Rival("Flask + RQ", partial(queue, "rq_pool"), module="rq")
RIVALS = {
    "empty": CEILING,
    "empty_ours": OURS_EMPTY,
    "soldout": EMBEDDED,
    "soldout_redis": ON_REDIS,
    "redis_lua": LUA,
    "redis_lua_lean": LEAN,
    "redis_lua_pipelined": PIPELINED,
    "sqlite": SQLITE,
    "postgres": POSTGRES,
    "redis_lock": LOCK,
    "celery": CELERY,
    "rq": RQ,
}


def tickets_sold(server: Server) -> int:
    """Ask a rival that keeps count how many tickets it has sold by now."""
    now, limit = datetime.now(UTC), time.monotonic() + FRESH_SECONDS
    while True:
        said = requests.get(f"{server.url}/remaining", timeout=10).json()
        if datetime.fromisoformat(said["as_of"]) > now or time.monotonic() > limit:
            return sum(event["sold"] for event in said["events"])
        time.sleep(0.05)


def batches(server: Server) -> tuple[int, int]:
    """Return how many purchases soldout's workers have settled, and in how many batches.

    On Redis they tell once a second: the counts are as old, but belong together.
    """
    answer = requests.get(
        f"{server.url}/workers",
        headers={"Authorization": f"Bearer {server.admin_key}"},
        timeout=10,
    )
    workers = answer.json()["workers"]
    return sum(w["purchases"] for w in workers), sum(w["batches"] for w in workers)
