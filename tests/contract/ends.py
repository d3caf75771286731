"""Both ends of a hand-off in one test: a worker's inbox in a thread, the web's under gevent.

A test says when a worker takes and when it answers; meanwhile the web's greenlets go on.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import gevent

from tests.in_process import greenlets
from tests.unit.builders import buy
from workers.domain import Command, Outcome, Purchase, UnknownEvent
from workers.handoffs import Inbox, Lane
from workers.handoffs.courier import Courier
from workers.hearts import clock_ms
from workers.metrics import Slot

PATIENCE_SECONDS = 10.0
LONG_MS = 60_000

T = TypeVar("T")


class Meeting(Protocol):
    """Where both ends of a hand-off meet."""

    def inbox(self, worker: int) -> Inbox:
        """Open worker `worker`'s end."""

    def lane(self, worker: int) -> Lane:
        """Return the web's end of a way to it; it is not connected yet."""


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Let greenlets go on until a condition holds; fail with `what` if it never does."""
    limit_ms = clock_ms() + PATIENCE_SECONDS * 1000
    while not condition():
        assert clock_ms() < limit_ms, f"not within {PATIENCE_SECONDS} s: {what}"
        gevent.sleep(0.001)


def wish(number: int, deadline_ms: int | None = None) -> Purchase:
    """Return a purchase that is told from others by its event."""
    limit = clock_ms() + LONG_MS if deadline_ms is None else deadline_ms
    return buy(number, event=f"e{number}", deadline_ms=limit)


def told(command: Command) -> Outcome:
    """Return the outcome that belongs to this purchase and to no other."""
    assert isinstance(command, Purchase)
    return UnknownEvent(command.event)


class WorkerEnd:
    """One worker's inbox. Whatever is asked of it happens in its own thread."""

    def __init__(self, meeting: Meeting, worker: int) -> None:
        self._closed = False
        self._thread = ThreadPoolExecutor(1)
        self._inbox = self._do(lambda: meeting.inbox(worker))

    def take(self, limit: int = 512) -> list[Command]:
        """Take as a worker does, again and again until something comes."""
        taken: list[Command] = []

        def has_come() -> list[Command]:
            taken.extend(self.take_within(1.0, limit))
            return taken

        wait_for(has_come, "commands")
        return taken

    def take_within(self, wait_seconds: float, limit: int = 512) -> list[Command]:
        return self._do(lambda: self._inbox.take(limit, wait_seconds))

    def take_waiting(self, limit: int = 512) -> list[Command]:
        return self._do(lambda: self._inbox.take_waiting(limit))

    def gather(self, count: int) -> list[Command]:
        """Take until `count` commands were taken, in as many frames as they come."""
        taken: list[Command] = []

        def enough() -> bool:
            taken.extend(self.take_waiting(count - len(taken)))
            return len(taken) == count

        wait_for(enough, f"{count} commands")
        return taken

    def answer(self, commands: list[Command]) -> None:
        """Answer what was taken."""
        self.answer_with([told(command) for command in commands])

    def answer_with(self, outcomes: list[Outcome]) -> None:
        self._do(lambda: self._inbox.answer(outcomes))

    def serve(self) -> list[Command]:
        """Take once, and answer."""
        taken = self.take()
        self.answer(taken)
        return taken

    def close(self) -> None:
        """Leave, once."""
        if not self._closed:
            self._closed = True
            self._do(self._inbox.close)
            self._thread.shutdown()

    def _do(self, work: Callable[[], T]) -> T:
        future = self._thread.submit(work)
        wait_for(future.done, "a worker's end")
        return future.result()


class Ends:
    """Makes both kinds of ends, and ends them all."""

    def __init__(self, meeting: Meeting) -> None:
        self.meeting = meeting
        self.slot = Slot()  # where all couriers count
        self._workers: list[WorkerEnd] = []
        self._lanes: list[Lane] = []

    def worker(self, number: int = 1) -> WorkerEnd:
        worker = WorkerEnd(self.meeting, number)
        self._workers.append(worker)
        return worker

    def courier(self, *workers: int, max_in_flight: int = 1_000, frame_max: int = 512) -> Courier:
        """Start a web process's end, with a lane to each of these workers, or to worker 1."""
        lanes = [self.meeting.lane(worker) for worker in workers or (1,)]
        self._lanes += lanes
        courier = Courier(lanes, max_in_flight=max_in_flight, frame_max=frame_max, slot=self.slot)
        courier.start()
        return courier

    def close(self) -> None:
        """End it all: a courier lives as long as its process, so here its greenlets are sought."""
        # Who is killed while it connects leaves a socket to whoever collects it.
        wait_for(lambda: not any(map(_is_connecting, self._lanes)), "lanes are connected, or not")
        for worker in self._workers:
            worker.close()
        gevent.killall(greenlets())
        for lane in self._lanes:
            lane.close()


def _is_connecting(lane: Lane) -> bool:
    connection = getattr(getattr(lane, "_link", None), "_connection", None)  # of a lane over Redis
    return connection is not None and connection._sock is None
