"""What the workers of both queues do: they sell by the script of redis_lua.py.

In: PEER_STORE_URL, a Redis that syncs every write. Out: jobs whose results are JSON; the web's end
of them; and one parent for web and workers.
"""

from __future__ import annotations

import argparse
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from loadtest.peers import box_office
from loadtest.peers.box_office import Reply
from loadtest.peers.redis_lua import RedisStock, put_on_sale
from loadtest.servers import end

Counts = dict[str, tuple[int, int]]

_write = msgspec.json.Encoder().encode


@functools.cache
def stock() -> RedisStock:
    """Return this process's way to the stock; made after any fork."""
    client = redis.Redis.from_url(os.environ["PEER_STORE_URL"], retry=Retry(NoBackoff(), 0))
    return RedisStock(client.execute_command)


def sell(key: str, event: str, quantity: int, order: str) -> str:
    """Sell; the job of the workers."""
    return _write(stock().sell(key, event, quantity, order.encode())).decode()


def counts() -> str:
    """Read the counters: a job as well, so that who is told of them knows that a worker is up."""
    return _write(stock().counts()).decode()


def read_reply(result: str) -> Reply:
    """Read the result of `sell`."""
    reply: Reply = msgspec.json.decode(result, type=Reply)
    return reply


def read_counts(result: str) -> Counts:
    """Read the result of `counts`."""
    return msgspec.json.decode(result, type=Counts)


def arguments(module: str) -> argparse.ArgumentParser:
    """Return a parser of what a queue is told."""
    parser = box_office.arguments(module)
    parser.add_argument("--broker-url", required=True, help="for jobs and results; nothing lasts")
    parser.add_argument("--workers", type=int, default=2)
    return parser


def serve(module: str, options: argparse.Namespace, workers: Sequence[str], *flags: str) -> None:
    """Put the events on sale; run web and workers until SIGTERM, or until one of them ends."""
    put_on_sale(options.store_url, box_office.on_sale(options))
    command, environment = box_office.web(module, options, *flags)
    environment |= {"PEER_BROKER_URL": options.broker_url}
    signal.signal(signal.SIGTERM, _leave)
    started: list[subprocess.Popen[bytes]] = []
    try:
        started += [subprocess.Popen(c, env=environment) for c in (workers, command)]
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
    finally:
        for process in reversed(started):  # first who asks, then who answers
            end(process)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
