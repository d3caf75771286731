"""What each worker of this host is doing, in one small memory-mapped file that others read.

A worker writes its own slot; the supervisor watches for hearts that stop, a web process lists them.
No lock: a slot has one writer, each word of it is stored whole, and a reader may be a beat behind.
"""

from __future__ import annotations

import mmap
import os
import time
from enum import IntEnum
from pathlib import Path
from typing import Final

from msgspec import Struct

HEARTBEAT_LIMIT_MS: Final = 2_000  # without a beat; an fsync slower than that is as good as hung
# After a deadline a worker that looked at it in time may still commit, for as long as it may live
# without a beat, and a moment to spare. Only then is it certain that what was not sold never will
# be (decision 20); so that is what buyers are told, and when nobody waits for an answer any more.
LAST_COMMIT_MS: Final = HEARTBEAT_LIMIT_MS + 1_000
SLOT_WORDS: Final = 8
WORD_BYTES: Final = 8
_PID, _STARTED, _BEAT, _BEAT_CLOCK, _PHASE, _READY, _BATCHES, _PURCHASES = range(SLOT_WORDS)
_LEAVING: Final = 2  # in place of 1, ready


class Phase(IntEnum):
    """Where a worker is. Who dies outside IDLE and BOOTING may have taken the lock along."""

    EMPTY = 0
    BOOTING = 1
    IDLE = 2  # surely without the lock
    TAKING = 3  # asking for the lock, or just got it
    HOLDING = 4  # surely with the lock
    RELEASING = 5  # giving it back, or just gave it


class Pulse(Struct, frozen=True):
    """One worker as others see it. `*_ms` are wall clock, `beat_clock_ms` the monotonic one."""

    worker: int
    pid: int
    started_ms: int
    beat_ms: int
    beat_clock_ms: int
    phase: Phase
    ready: bool
    batches: int
    purchases: int
    leaving: bool = False


class HostPulse(Struct, frozen=True):
    """One worker of some host."""

    host: str
    pulse: Pulse


def clock_ms() -> int:
    """Return milliseconds of the monotonic clock, one for all processes of a host."""
    return time.monotonic_ns() // 1_000_000


def wall_ms() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Hearts:
    """The slots of all workers of one host, worker 1 first."""

    def __init__(self, path: Path, workers: int, *, create: bool = False) -> None:
        flags = os.O_RDWR | (os.O_CREAT | os.O_TRUNC if create else 0)
        size = workers * SLOT_WORDS * WORD_BYTES
        descriptor = os.open(path, flags, 0o600)
        try:
            if create:  # not sparse: a store into a hole of a full disk would be a SIGBUS
                os.posix_fallocate(descriptor, 0, size)
            # Through a view of whole words each is one store: nobody ever reads a half of one.
            self._words = memoryview(mmap.mmap(descriptor, size)).cast("q")
        finally:
            os.close(descriptor)
        self.workers = workers

    def _slot(self, worker: int) -> memoryview:
        return self._words[(worker - 1) * SLOT_WORDS : worker * SLOT_WORDS]

    def pulse(self, worker: int) -> Pulse:
        """Return what worker `worker` (from 1) last said."""
        return _pulse(worker, self._slot(worker))

    def pulses(self) -> list[Pulse]:
        """Return all workers that were ever started."""
        found = [self.pulse(worker) for worker in range(1, self.workers + 1)]
        return [pulse for pulse in found if pulse.phase is not Phase.EMPTY]

    def start(self, worker: int, pid: int) -> Heart:
        """Reset a slot for a process that boots now."""
        slot = self._slot(worker)
        heart = Heart(slot, worker)
        slot[_READY] = slot[_BATCHES] = slot[_PURCHASES] = 0
        slot[_PID] = pid
        heart.enter(Phase.BOOTING)
        slot[_STARTED] = slot[_BEAT]
        return heart


class Heart:
    """One worker's own slot. Each change of phase is a beat."""

    def __init__(self, slot: memoryview, worker: int) -> None:
        self._slot = slot
        self._worker = worker

    def pulse(self) -> Pulse:
        """Return what this worker last said."""
        return _pulse(self._worker, self._slot)

    def beat(self) -> None:
        """Say that this worker is alive."""
        self._slot[_BEAT] = wall_ms()
        self._slot[_BEAT_CLOCK] = clock_ms()

    def beat_on(self) -> bool:
        """Beat in the middle of something long, which shall not be broken off."""
        self.beat()
        return False

    def enter(self, phase: Phase) -> None:
        """Say where this worker is from now on."""
        self._slot[_PHASE] = phase
        self.beat()

    def be_ready(self) -> None:
        """Say that this worker has booted and takes work."""
        self._slot[_READY] = 1
        self.enter(Phase.IDLE)

    def be_leaving(self) -> None:
        """Say that this worker takes no more work; the rest may take as long as a boot."""
        self._slot[_READY] = _LEAVING
        self.beat()

    def count(self, purchases: int) -> None:
        """Count one more batch of the sale, with so many purchases among its commands."""
        self._slot[_BATCHES] += 1
        self._slot[_PURCHASES] += purchases


def _pulse(worker: int, slot: memoryview) -> Pulse:
    return Pulse(
        worker=worker,
        pid=slot[_PID],
        started_ms=slot[_STARTED],
        beat_ms=slot[_BEAT],
        beat_clock_ms=slot[_BEAT_CLOCK],
        phase=Phase(slot[_PHASE]),
        ready=bool(slot[_READY]),
        leaving=slot[_READY] == _LEAVING,
        batches=slot[_BATCHES],
        purchases=slot[_PURCHASES],
    )
