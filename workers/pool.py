"""The pool: worker processes of one host, and what to do when one of them dies or hangs.

Whoever dies is started again. What the workers share, and whether a death leaves a lock taken, is
the site's to know: `one_host` or `many_hosts`.
"""

from __future__ import annotations

import logging
import multiprocessing as mp
import os
import signal
import sys
import time
from collections.abc import Iterable
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from typing import Final, Protocol

from workers.errors import BootFailed, StartAgain
from workers.hearts import HEARTBEAT_LIMIT_MS, Heart, Hearts, Pulse, clock_ms
from workers.metrics import HUNG, Slot
from workers.processes import end_with_parent, set_title, spare_the_collector
from workers.settings import Settings
from workers.worker import Worker

log = logging.getLogger(__name__)

BOOT_FAILED: Final = 3  # exit status: respawning would not help
BOOT_LIMIT_MS: Final = 60_000  # recovering a long WAL takes a while, or emptying it
BOOT_DEATHS_MAX: Final = 5  # in a row without a worker becoming ready: it cannot work here
DRAIN_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.1  # between two looks at hearts; a worker's death is noticed at once
# Asks a worker to leave. No SIGTERM: `timeout` and systemd send that to all processes, and workers
# are needed until the web has answered everybody.
LEAVE: Final = signal.SIGUSR2


class Site(Protocol):
    """What the workers of a pool share: ledger, hand-off and lock."""

    def prepare(self) -> None:
        """Look at it before anything starts. Raises Unavailable, BadSetting, BootFailed."""

    def begin_generation(self) -> None:
        """Make what a generation of workers inherits. Raises BadSetting."""

    def boot(self, heart: Heart) -> Worker:
        """Put a worker together, in its own process, however long that takes. Raises BootFailed."""

    def leave(self, worker: Worker) -> None:
        """Have a worker that was told to leave let go of what it holds, in its own process."""

    def free_lock_of(self, dead: Pulse) -> bool:
        """Free the lock of a worker that died; False if only a new generation can take it."""

    def look(self, *, ready: bool) -> None:
        """Look, some times a second, at what they share. Raises BootFailed.

        `ready`: whether every worker has booted.
        """


class Pool:
    """Worker 1 … worker N of this host. Call `manage` again and again; it takes a moment."""

    def __init__(self, settings: Settings, site: Site, slot: Slot) -> None:
        self._workers = settings.workers
        self._slot = slot
        self._site = site
        self._hearts = Hearts(settings.run_path / "hearts", settings.workers, create=True)
        self._processes: dict[int, ForkProcess] = {}
        self._murdered: set[int] = set()  # workers; the kernel may take a while
        self._managed_ms = clock_ms()
        self._boot_deaths = 0

    @property
    def ready(self) -> bool:
        """Whether every worker has booted."""
        pulses = self._hearts.pulses()
        return len(pulses) == self._workers and all(pulse.ready for pulse in pulses)

    def start(self) -> None:
        """Start a generation of workers."""
        self._site.begin_generation()
        for worker in range(1, self._workers + 1):
            self._spawn(worker)

    def manage(self) -> None:
        """Wait a moment; reap who died, murder who hangs, and start others in their place.

        Raises BootFailed.
        """
        self._reap(self._wait_for_deaths())
        self._murder()
        self._site.look(ready=self.ready)

    def drain(self) -> None:
        """Let every worker finish what waits, and leave; murder who hangs meanwhile."""
        for process in self._processes.values():
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, LEAVE)
        limit = time.monotonic() + DRAIN_SECONDS
        while self._processes and time.monotonic() < limit:
            dead = self._wait_for_deaths()
            for worker, status in dead.items():
                del self._processes[worker]
                if status not in (0, -LEAVE):  # so does it leave while it boots
                    log.warning("worker %d ended with status %d instead of leaving", worker, status)
            if not self._free_lock_of(worker for worker, status in dead.items() if status):
                log.warning("the lock is not given back: nobody is waited for any longer")
                break
            self._murder()
        self.kill()

    def kill(self) -> None:
        """End every worker at once."""
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.join()

    def _spawn(self, worker: int) -> None:
        self._murdered.discard(worker)
        self._hearts.start(worker, 0)
        process = mp.get_context("fork").Process(
            target=_work, args=(worker, self._hearts, self._site, os.getpid())
        )
        process.start()
        self._processes[worker] = process

    def _reap(self, dead: dict[int, int]) -> None:
        for worker, status in dead.items():
            if status == BOOT_FAILED:
                raise BootFailed(f"worker {worker} cannot start; the reason stands above")
            self._count_death(self._hearts.pulse(worker), status)
            log.warning("worker %d ended with status %d: started again", worker, status)
        if self._free_lock_of(dead):
            for worker in dead:
                self._spawn(worker)
        else:
            log.warning("it took the lock along: all workers start again under a new one")
            self.kill()
            self.start()

    def _wait_for_deaths(self) -> dict[int, int]:
        """Wait a moment, or until somebody dies; return who is dead, with the exit status."""
        wait([process.sentinel for process in self._processes.values()], LOOK_SECONDS)
        ended = {worker: process.exitcode for worker, process in self._processes.items()}
        return {worker: status for worker, status in ended.items() if status is not None}

    def _free_lock_of(self, dead: Iterable[int]) -> bool:
        """Free the lock of workers that died; False if only a new generation can take it."""
        return all(self._site.free_lock_of(self._hearts.pulse(worker)) for worker in dead)

    def _count_death(self, pulse: Pulse, status: int) -> None:
        """Give up on workers that die of themselves, again and again, before they are ready."""
        killed = status < 0
        self._boot_deaths = 0 if pulse.ready or killed else self._boot_deaths + 1
        if self._boot_deaths > BOOT_DEATHS_MAX:
            raise BootFailed("the workers cannot start; the reason stands above")

    def _murder(self) -> None:
        """Kill whose heart stopped. Not after a pause of our own: then all hearts look still."""
        now, self._managed_ms, before = clock_ms(), clock_ms(), self._managed_ms
        if now - before > HEARTBEAT_LIMIT_MS // 2:
            return
        for worker, process in self._processes.items():
            pulse = self._hearts.pulse(worker)
            works = pulse.ready and not pulse.leaving
            limit = HEARTBEAT_LIMIT_MS if works else BOOT_LIMIT_MS
            if now - pulse.beat_clock_ms > limit and worker not in self._murdered:
                log.error("worker %d hangs (%s): killed", worker, pulse.phase.name.lower())
                process.kill()
                self._murdered.add(worker)
                self._slot.count(HUNG.at)


def _work(worker: int, hearts: Hearts, site: Site, parent_pid: int) -> None:
    """Be worker `worker`, in a process of its own."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # may reach all; Ctrl-C does
        signal.signal(number, signal.SIG_IGN)  # the supervisor drains
    signal.signal(LEAVE, signal.SIG_DFL)
    end_with_parent(parent_pid)
    set_title(f"worker {worker}")
    heart = hearts.start(worker, os.getpid())
    try:
        booted = site.boot(heart)
        heart.be_ready()
        _run(booted)
        heart.be_leaving()
        site.leave(booted)
    except StartAgain as news:
        log.warning("worker %d starts again: %s", worker, news)
    except BootFailed as error:
        print(f"soldout: {error}", file=sys.stderr, flush=True)  # noqa: T201 - for the operator
        os._exit(BOOT_FAILED)


def _run(worker: Worker) -> None:
    def stop(_signal: int, _frame: object) -> None:
        worker.stopping = True

    signal.signal(LEAVE, stop)
    spare_the_collector()
    worker.run()
