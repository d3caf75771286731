"""Celery: a prefork pool of workers; the request queues a task and waits for its result.

Broker and results are in a Redis of their own without a disk, which is all that they need: a task
that is lost was never confirmed. Settings as Celery's guide to optimizing has them for many short
tasks; web processes with threads, which sold twice what gevent did. What a task does stands in
queue_jobs.py.

    python -m loadtest.peers.celery_pool --port 8007 --store-url redis://127.0.0.1:6379/0 \\
        --broker-url redis://127.0.0.1:6380/0

Ends by its process id.
"""

from __future__ import annotations

import os
import sys
from typing import Final

import celery
import redis
from celery.exceptions import TimeoutError as ResultTimeoutError
from flask import Flask
from kombu.exceptions import OperationalError

from loadtest.peers import box_office, queue_jobs
from loadtest.peers.box_office import Faults, Reply
from loadtest.peers.queue_jobs import Counts, read_counts, read_reply

PATIENCE_SECONDS: Final = 20.0
BROKER_URL: Final = os.environ.get("PEER_BROKER_URL")

app = celery.Celery("peer", broker=BROKER_URL, backend=BROKER_URL)
app.conf.update(
    result_expires=60,
    worker_prefetch_multiplier=64,  # the guide's number for many tasks with a short duration
    broker_connection_retry_on_startup=True,
)
sell = app.task(name="sell")(queue_jobs.sell)
counts = app.task(name="counts")(queue_jobs.counts)


class CeleryStock:
    """Hands a purchase to the pool and waits."""

    faults: Faults = (
        redis.ConnectionError,
        redis.TimeoutError,
        ResultTimeoutError,
        OperationalError,
    )

    def sell(self, key: str, event: str, quantity: int, order: bytes) -> Reply:
        """Queue a task and wait for its result."""
        task = sell.delay(key, event, quantity, order.decode())
        return read_reply(task.get(timeout=PATIENCE_SECONDS))

    def counts(self) -> Counts:
        """Have a worker count."""
        return read_counts(counts.delay().get(timeout=PATIENCE_SECONDS))


def create_app() -> Flask:
    """Return the app for gunicorn. Call it after any fork."""
    return box_office.create_app(CeleryStock())


def main() -> None:
    """Run web and workers."""
    module = "loadtest.peers.celery_pool"
    options = queue_jobs.arguments(module).parse_args()
    workers = [
        *(sys.executable, "-m", "celery", "-A", module, "worker", "--loglevel", "ERROR"),
        *("--pool", "prefork", "--concurrency", str(options.workers)),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
    queue_jobs.serve(module, options, workers, *box_office.THREADS_FLAGS)


if __name__ == "__main__":
    main()
