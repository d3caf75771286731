"""What each worker of this host is doing, in one small memory-mapped file that others read.

A worker writes its own slot; the supervisor watches for hearts that stop, a web process lists them.
No lock: a slot has one writer, and a reader that is a beat behind does no harm.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from enum import IntEnum
from pathlib import Path
from typing import Final

from msgspec import Struct

_SLOT: Final = struct.Struct("=8q")
_PID, _STARTED, _BEAT, _BEAT_CLOCK, _PHASE, _READY, _BATCHES, _PURCHASES = range(0, _SLOT.size, 8)
_WORD: Final = struct.Struct("=q")


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
        descriptor = os.open(path, flags, 0o600)
        try:
            if create:
                os.ftruncate(descriptor, workers * _SLOT.size)
            self._map = mmap.mmap(descriptor, workers * _SLOT.size)
        finally:
            os.close(descriptor)
        self.workers = workers

    def pulse(self, worker: int) -> Pulse:
        """Return what worker `worker` (from 1) last said."""
        pid, started, beat, beat_clock, phase, ready, batches, purchases = _SLOT.unpack_from(
            self._map, (worker - 1) * _SLOT.size
        )
        return Pulse(
            worker, pid, started, beat, beat_clock, Phase(phase), bool(ready), batches, purchases
        )

    def pulses(self) -> list[Pulse]:
        """Return all workers that were ever started."""
        found = [self.pulse(worker) for worker in range(1, self.workers + 1)]
        return [pulse for pulse in found if pulse.phase is not Phase.EMPTY]

    def start(self, worker: int, pid: int) -> Heart:
        """Reset a slot for a process that boots now."""
        now = wall_ms()
        _SLOT.pack_into(
            self._map, (worker - 1) * _SLOT.size, pid, now, now, clock_ms(), Phase.BOOTING, 0, 0, 0
        )
        return Heart(self._map, (worker - 1) * _SLOT.size)


class Heart:
    """One worker's own slot. Each change of phase is a beat."""

    def __init__(self, memory: mmap.mmap, offset: int) -> None:
        self._map = memory
        self._offset = offset
        self.batches = 0
        self.purchases = 0

    def beat(self) -> None:
        """Say that this worker is alive."""
        _WORD.pack_into(self._map, self._offset + _BEAT, wall_ms())
        _WORD.pack_into(self._map, self._offset + _BEAT_CLOCK, clock_ms())

    def enter(self, phase: Phase) -> None:
        """Say where this worker is from now on."""
        _WORD.pack_into(self._map, self._offset + _PHASE, phase)
        self.beat()

    def be_ready(self) -> None:
        """Say that this worker has booted and takes work."""
        _WORD.pack_into(self._map, self._offset + _READY, 1)
        self.enter(Phase.IDLE)

    def count(self, purchases: int) -> None:
        """Count one more batch of so many commands."""
        self.batches += 1
        self.purchases += purchases
        _WORD.pack_into(self._map, self._offset + _BATCHES, self.batches)
        _WORD.pack_into(self._map, self._offset + _PURCHASES, self.purchases)
