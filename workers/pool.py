"""The pool: worker processes under one lock, and what to do when one of them dies or hangs.

A worker that dies holding the lock leaves it taken for ever. Then the whole generation ends and a
new one starts with a new lock: SQLite has rolled back, the web sends its frames again, and a key
sells once. One-for-all is simple, safe, and takes some tens of milliseconds.
"""

from __future__ import annotations

import logging
import multiprocessing as mp
import os
import signal
import sys
import time
from multiprocessing.context import ForkProcess
from typing import Final

from workers.domain import Now
from workers.errors import BootFailed, LedgerFault
from workers.handoffs.unix_socket import UnixInbox
from workers.hearts import HEARTBEAT_LIMIT_MS, Heart, Hearts, Phase, Pulse, clock_ms, wall_ms
from workers.ledgers.sqlite import SqliteLedger
from workers.locks import HeldProcessLock, ProcessLock
from workers.processes import end_with_parent, set_title, spare_the_collector
from workers.settings import Settings
from workers.worker import Worker

log = logging.getLogger(__name__)

BOOT_FAILED: Final = 3  # exit status: respawning would not help
BOOT_LIMIT_MS: Final = 60_000  # recovering a long WAL takes a while
BOOT_DEATHS_MAX: Final = 5  # in a row without a worker becoming ready: it cannot work here
OPEN_AGAIN_SECONDS: Final = 0.5  # a disk that is full is not freed in less
LOCK_SECONDS: Final = 0.5  # a living holder gives the lock back within one batch
DRAIN_SECONDS: Final = 10.0


class Pool:
    """Worker 1 … worker N of this host. Call `manage` often; it never blocks for long."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hearts = Hearts(settings.run_path / "hearts", settings.workers, create=True)
        self._lock = ProcessLock()
        self._processes: dict[int, ForkProcess] = {}
        self._managed_ms = clock_ms()
        self._boot_deaths = 0

    @property
    def sentinels(self) -> list[int]:
        """Descriptors that become readable when a worker ends."""
        return [process.sentinel for process in self._processes.values()]

    @property
    def ready(self) -> bool:
        """Whether every worker has booted."""
        pulses = self._hearts.pulses()
        return len(pulses) == self._settings.workers and all(pulse.ready for pulse in pulses)

    def start(self) -> None:
        """Start a generation: a new lock, and every worker."""
        self._lock = ProcessLock()
        for worker in range(1, self._settings.workers + 1):
            self._spawn(worker)

    def manage(self) -> None:
        """Reap who died, murder who hangs, and start others in their place. Raises BootFailed."""
        self._reap()
        self._murder()

    def drain(self) -> None:
        """Let every worker finish what waits, and leave."""
        for process in self._processes.values():
            process.terminate()
        limit = time.monotonic() + DRAIN_SECONDS
        for process in self._processes.values():
            process.join(max(0.0, limit - time.monotonic()))
        self.kill()

    def kill(self) -> None:
        """End every worker at once."""
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.join()

    def _spawn(self, worker: int) -> None:
        self._hearts.start(worker, 0)
        process = mp.get_context("fork").Process(
            target=_work, args=(worker, self._settings, self._hearts, self._lock, os.getpid())
        )
        process.start()
        self._processes[worker] = process

    def _reap(self) -> None:
        dead = [
            worker for worker, process in self._processes.items() if process.exitcode is not None
        ]
        for worker in dead:
            status = self._processes[worker].exitcode
            if status == BOOT_FAILED:
                raise BootFailed(f"worker {worker} cannot start; the reason stands above")
            self._count_death(self._hearts.pulse(worker), status)
            log.warning("worker %d ended with status %s: started again", worker, status)
        if any(self._took_the_lock(self._hearts.pulse(worker)) for worker in dead):
            log.warning("it took the lock along: all workers start again under a new one")
            self.kill()
            self.start()
        else:
            for worker in dead:
                self._spawn(worker)

    def _count_death(self, pulse: Pulse, status: int | None) -> None:
        """Give up on workers that die of themselves, again and again, before they are ready."""
        killed = status is not None and status < 0
        self._boot_deaths = 0 if pulse.ready or killed else self._boot_deaths + 1
        if self._boot_deaths > BOOT_DEATHS_MAX:
            raise BootFailed("the workers cannot start; the reason stands above")

    def _took_the_lock(self, pulse: Pulse) -> bool:
        if pulse.phase in {Phase.BOOTING, Phase.IDLE}:
            return False
        if pulse.phase is Phase.HOLDING:
            return True
        # Asked again and again: a wait with a timeout goes by the wall clock, which may be set.
        limit = time.monotonic() + LOCK_SECONDS
        while not self._lock.semaphore.acquire(block=False):
            if time.monotonic() > limit:
                return True
            time.sleep(LOCK_SECONDS / 100)
        self._lock.semaphore.release()
        return False

    def _murder(self) -> None:
        """Kill whose heart stopped. Not after a pause of our own: then all hearts look still."""
        now, self._managed_ms, before = clock_ms(), clock_ms(), self._managed_ms
        if now - before > HEARTBEAT_LIMIT_MS // 2:
            return
        for worker, process in self._processes.items():
            pulse = self._hearts.pulse(worker)
            limit = HEARTBEAT_LIMIT_MS if pulse.ready else BOOT_LIMIT_MS
            if now - pulse.beat_clock_ms > limit and process.exitcode is None:
                log.error("worker %d hangs (%s): killed", worker, pulse.phase.name.lower())
                process.kill()


def _work(
    worker: int, settings: Settings, hearts: Hearts, lock: ProcessLock, parent_pid: int
) -> None:
    """Be worker `worker`, in a process of its own."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the supervisor drains
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent(parent_pid)
    set_title(f"worker {worker}")
    try:
        _run(_boot(worker, settings, hearts.start(worker, os.getpid()), lock))
    except BootFailed as error:
        print(f"soldout: {error}", file=sys.stderr, flush=True)  # noqa: T201 - for the operator
        os._exit(BOOT_FAILED)


def _boot(worker: int, settings: Settings, heart: Heart, shared: ProcessLock) -> Worker:
    lock = HeldProcessLock(shared, heart)
    ledger = _open_ledger(settings, heart, lock, shared)
    try:
        inbox = UnixInbox(settings.run_path, worker)
    except OSError as error:
        raise BootFailed(f"cannot listen in {settings.run_path}: {error}") from error
    heart.be_ready()
    return Worker(inbox, lock, ledger, heart, _now, settings.batch_max)


def _open_ledger(
    settings: Settings, heart: Heart, lock: HeldProcessLock, shared: ProcessLock
) -> SqliteLedger:
    """Open the ledger, however long a full disk or another program keeps it from us."""
    while True:
        try:
            with lock:
                ledger = SqliteLedger(settings.ledger_path, heart.beat_on)
                shared.start_above(ledger.last_token())
                return ledger
        except LedgerFault as fault:
            log.error("not yet: %s", fault)
            time.sleep(OPEN_AGAIN_SECONDS)


def _run(worker: Worker) -> None:
    def stop(_signal: int, _frame: object) -> None:
        worker.stopping = True

    signal.signal(signal.SIGTERM, stop)
    spare_the_collector()
    worker.run()
    worker.inbox.close()
    worker.ledger.close()


def _now() -> Now:
    return Now(wall_ms=wall_ms(), clock_ms=clock_ms())
