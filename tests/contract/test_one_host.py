"""What the workers of one host do with their ledger and their lock when they leave."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from workers.hearts import Hearts
from workers.ledgers.sqlite import SqliteLedger
from workers.metrics import Metrics
from workers.one_host import OneHost
from workers.settings import Settings
from workers.worker import Worker

WORKERS = 2


class Watched(OneHost):
    """One host, in the test's own process, whose lock can be looked at."""

    def __init__(self, data_dir: Path) -> None:
        settings = msgspec.convert({"data_dir": str(data_dir), "workers": WORKERS}, Settings)
        settings.run_path.mkdir(parents=True)
        Metrics(settings.metrics_path, create=True)
        super().__init__(settings)
        hearts = Hearts(settings.run_path / "hearts", WORKERS, create=True)
        self.begin_generation()
        self.crew = [self.boot(hearts.start(number, os.getpid())) for number in (1, 2)]

    @property
    def is_locked(self) -> bool:
        if self._lock.semaphore.acquire(block=False):
            self._lock.semaphore.release()
            return False
        return True

    def die_with_the_lock(self) -> None:
        self._lock.semaphore.acquire()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Watched]:
    host = Watched(tmp_path / "data")
    yield host
    for worker in host.crew:
        worker.close()


def test_workers_close_the_ledger_one_after_the_other(
    host: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that close at once are both not the last one out, and the log stays full."""
    locked = []
    close = SqliteLedger.close

    def look_and_close(ledger: SqliteLedger) -> None:
        locked.append(host.is_locked)
        close(ledger)

    monkeypatch.setattr(SqliteLedger, "close", look_and_close)
    for worker in list(host.crew):
        host.leave(worker)
        host.crew.remove(worker)
    assert locked == [True, True]
    assert not host.is_locked


def test_a_lock_that_a_dead_worker_took_along_keeps_nobody(host: Watched) -> None:
    host.die_with_the_lock()
    left: Worker = host.crew.pop()
    host.leave(left)
    assert host.is_locked  # still the dead one's
