"""Catches a worker in a given phase and stops it there (SIGSTOP), for what is to happen next."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness import Soldout, state_of, wait_until
from workers.hearts import Phase

CATCH_SECONDS = 30.0


def stop(pid: int) -> None:
    """Stop a process, and return once it stands still."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state_of(pid) in "TtZ", 10, "stopped")


def proceed(pid: int) -> None:
    """Let a stopped process go on; it may have been killed meanwhile."""
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return


def stopped_in(service: Soldout, phase: Phase) -> int:
    """Stop a worker that says it is in `phase`, as soon as one is caught there; return its pid.

    What a worker says of itself it says before it goes on, so a stopped one's word holds.
    """
    hearts = service.hearts()
    limit = time.monotonic() + CATCH_SECONDS
    while time.monotonic() < limit:
        for pulse in hearts.pulses():
            if pulse.phase is not phase or not pulse.ready:
                continue
            stop(pulse.pid)
            again = hearts.pulse(pulse.worker)
            if (again.pid, again.phase) == (pulse.pid, phase):
                return pulse.pid
            proceed(pulse.pid)
        time.sleep(0.001)
    raise AssertionError(f"no worker was caught {phase.name} within {CATCH_SECONDS} s")


@contextmanager
def standing_still(*pids: int) -> Iterator[None]:
    """Stop processes, in this order, for the length of a `with` block."""
    try:
        for pid in pids:
            stop(pid)
        yield
    finally:
        for pid in pids:
            proceed(pid)
