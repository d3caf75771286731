"""RQ: a pool of workers; the request queues a job and waits for its result.

Queue and results are in a Redis of their own without a disk, which is all that they need: a job
that is lost was never confirmed. Workers that do not fork for each job (`SimpleWorker`), as RQ
advises where that costs too much. What a job does stands in queue_jobs.py.

    python -m loadtest.peers.rq_pool --port 8008 --store-url redis://127.0.0.1:6379/0 \\
        --broker-url redis://127.0.0.1:6380/0

Ends by its process id.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final

import redis
from flask import Flask
from rq import Queue

from loadtest.peers import box_office, queue_jobs
from loadtest.peers.box_office import Faults, Reply
from loadtest.peers.queue_jobs import Counts, read_counts, read_reply

PATIENCE_SECONDS: Final = 20
KEPT_SECONDS: Final = 60


class RqStock:
    """Hands a purchase to the pool and waits."""

    faults: Faults = (redis.ConnectionError, redis.TimeoutError, TimeoutError)

    def __init__(self, url: str) -> None:
        self._queue = Queue(connection=redis.Redis.from_url(url))

    def sell(self, key: str, event: str, quantity: int, order: bytes) -> Reply:
        """Queue a job and wait for its result."""
        return read_reply(self._wait_for(queue_jobs.sell, key, event, quantity, order.decode()))

    def counts(self) -> Counts:
        """Have a worker count."""
        return read_counts(self._wait_for(queue_jobs.counts))

    def _wait_for(self, job: Callable[..., str], *arguments: object) -> str:
        queued = self._queue.enqueue(job, *arguments, result_ttl=KEPT_SECONDS)
        result = queued.latest_result(timeout=PATIENCE_SECONDS)
        if result is None or result.type != result.Type.SUCCESSFUL:
            raise TimeoutError(f"no result: {result and result.exc_string}")
        return str(result.return_value)


def create_app() -> Flask:
    """Return the app for gunicorn. Call it after any fork."""
    return box_office.create_app(RqStock(os.environ["PEER_BROKER_URL"]))


def main() -> None:
    """Run web and workers."""
    module = "loadtest.peers.rq_pool"
    options = queue_jobs.arguments(module).parse_args()
    workers = [
        *(sys.executable, "-m", "rq.cli", "worker-pool", "--quiet", "--url", options.broker_url),
        *("--worker-class", "rq.worker.SimpleWorker", "--num-workers", str(options.workers)),
    ]
    queue_jobs.serve(module, options, workers, *box_office.THREADS_FLAGS)


if __name__ == "__main__":
    main()
