"""The web's end of a hand-off, whatever carries it: a bounded queue, and a sender for each lane.

Group commit without a timer: one frame is under way; what arrives meanwhile goes together in the
next one. Alone, a purchase leaves at once; in a crowd, frames grow by themselves. When a lane
breaks, its frame goes back to the head of the queue, and the next free lane takes it; when a lane
only stands still, another one takes what has waited for too long.
Runs in one gevent process; none of it is for threads.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import gevent
from gevent.hub import Waiter, get_hub

from workers.domain import Command, Outcome, Unreached, Unsettled
from workers.errors import Overloaded, Unavailable
from workers.handoffs import Lane
from workers.hearts import LAST_COMMIT_MS, clock_ms
from workers.metrics import RESENT, Slot, clock_us

log = logging.getLogger(__name__)

FRAME_FULL: Final = 64  # commands that leave without waiting for a lull
SWEEP_SECONDS: Final = 0.05  # how exact waits and deadlines are kept here


class Receipt:
    """One command on its way. `outcome` is None until it is settled."""

    __slots__ = (
        "_waiter",
        "command",
        "handed_us",
        "outcome",
        "sent",
        "sent_us",
        "settled_us",
        "wait_until_ms",
    )

    def __init__(self, command: Command) -> None:
        self.command = command
        self.outcome: Outcome | None = None
        self.sent = False  # a worker may have seen it
        self.handed_us = clock_us()
        self.sent_us = 0  # when its last frame left
        self.settled_us = 0
        self.wait_until_ms = 0
        self._waiter: Any = None

    def wait(self, seconds: float) -> Outcome | None:
        """Wait for the outcome; None if it has not come in time, and may still come."""
        if self.outcome is None and seconds > 0:
            self.wait_until_ms = clock_ms() + int(seconds * 1000)
            self._waiter = Waiter()
            try:
                self._waiter.get()
            finally:
                self._waiter = None
        return self.outcome

    def wake(self) -> None:
        """Let the greenlet that waits go on, in the loop's next round."""
        if self._waiter is not None:
            get_hub().loop.run_callback(self._waiter.switch, None)


class Courier:
    """Carries commands to the workers and outcomes back.

    `patience_seconds`: after so long with nothing but faults, who waits and who comes is told so.
    That a lane connects says little: what is asked there may be refused all the same.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        *,
        max_in_flight: int,
        frame_max: int,
        patience_seconds: float | None = None,
        slot: Slot | None = None,
    ) -> None:
        self._lanes = lanes
        self._max_in_flight = max_in_flight
        self._frame_max = frame_max
        self._frame_full = min(frame_max, FRAME_FULL)
        self._patience_ms = None if patience_seconds is None else patience_seconds * 1000
        self._slot = slot or Slot()
        self._connected: set[Lane] = set()
        self._failing_since_ms: int | None = None  # since then frames failed, and none was answered
        self._queue: deque[Receipt] = deque()
        self._open: dict[Receipt, None] = {}  # not settled yet, oldest first
        self._idle: dict[Lane, Any] = {}  # waiters of senders that have nothing to send, or may not
        self._ahead: Lane | None = None  # whose frame all that came later waits for
        self._lull = get_hub().loop.idle()  # fires when this process has nothing else to do
        self.settled = 0  # grows with every answer: what was read before it is out of date

    def start(self) -> None:
        """Start the senders and the sweeper; they live as long as the process."""
        for lane in self._lanes:
            gevent.spawn(self._send_on, lane)
        gevent.spawn(self._sweep)

    @property
    def in_flight(self) -> int:
        """Commands that wait here or are under way."""
        return len(self._open)

    @property
    def faults(self) -> list[str]:
        """Why lanes get no answers now, as far as is known."""
        return sorted({lane.fault for lane in self._lanes if lane.fault})

    def hand_over(self, command: Command) -> Receipt:
        """Queue a command; its receipt tells when it is settled. Raises Overloaded, Unavailable."""
        if self._given_up() and not self._connected:
            raise Unavailable("The workers cannot be reached. The same key is safe to send again.")
        if len(self._open) >= self._max_in_flight:
            raise Overloaded(
                f"{self._max_in_flight} purchases are under way in this process already"
            )
        receipt = Receipt(command)
        self._open[receipt] = None
        self._queue.append(receipt)
        if len(self._queue) >= self._frame_full:
            self._wake_sender()
        elif not self._lull.active:
            self._lull.start(self._wake_sender)
        return receipt

    def everywhere(self, command: Command) -> list[Receipt]:
        """Queue a command for the workers of every shard: here there is one."""
        return [self.hand_over(command)]

    def _wake_sender(self) -> None:
        """Wake a sender, unless a frame is under way: what comes meanwhile waits for its return."""
        self._lull.stop()
        if self._ahead is None:
            self._wake_another_sender()

    def _wake_another_sender(self) -> None:
        """Wake the first of the lanes that are free: all web processes prefer the same worker then,
        and what they send at the same time becomes one batch.
        """
        lane = next((lane for lane in self._lanes if lane in self._idle), None)
        if lane is not None:
            get_hub().loop.run_callback(self._idle.pop(lane).switch, None)

    # --- senders ---

    def _send_on(self, lane: Lane) -> None:
        while True:
            try:
                lane.connect()
                self._connected.add(lane)
                while True:
                    self._send_frame(lane)
            except OSError as error:
                log.debug("a lane broke: %s", error)
            except Exception:
                log.exception("a lane broke for a reason that is a bug")
            self._connected.discard(lane)
            self._fail()
            lane.close()
            gevent.sleep(lane.retry_seconds)

    def _send_frame(self, lane: Lane) -> None:
        frame = self._next_frame(lane)
        self._ahead = lane
        try:
            outcomes = lane.exchange([receipt.command for receipt in frame])
        except BaseException:
            self._is_back(lane)
            self._slot.count(RESENT.at)
            self._queue.extendleft(reversed(frame))
            self._fail()
            self._wake_sender()
            raise
        self._is_back(lane)
        self._failing_since_ms = None
        self.settled += 1
        now_us = clock_us()
        for receipt, outcome in zip(frame, outcomes, strict=True):
            receipt.settled_us = now_us
            self._settle(receipt, outcome)

    def _is_back(self, lane: Lane) -> None:
        if self._ahead is lane:  # and was not overtaken, because it stood still
            self._ahead = None

    def _next_frame(self, lane: Lane) -> list[Receipt]:
        frame: list[Receipt] = []
        while not frame:  # a sender may be woken for work that another one took
            if not self._queue or self._ahead is not None:
                self._idle[lane] = waiter = Waiter()
                waiter.get()
            now_us = clock_us()
            now_ms = now_us // 1_000
            while self._queue and len(frame) < self._frame_max:
                receipt = self._queue.popleft()
                if now_ms > receipt.command.deadline_ms:
                    self._expire(receipt)
                else:
                    receipt.sent = True
                    receipt.sent_us = now_us
                    frame.append(receipt)
        return frame

    def _expire(self, receipt: Receipt) -> None:
        """Settle what waits here past its deadline.

        Not as too late, even if it was never sent: an earlier request with the same key, through
        whatever web process, may have been sold, or may yet be. Only a worker looks the key up.
        """
        self._settle(receipt, Unreached())

    def _settle(self, receipt: Receipt, outcome: Outcome) -> None:
        if self._open.pop(receipt, False) is not False:
            receipt.outcome = outcome
            receipt.wake()

    # --- giving up ---

    def _fail(self) -> None:
        """Note that a lane broke."""
        if self._failing_since_ms is None:
            self._failing_since_ms = clock_ms()
        self._give_up()

    def _given_up(self) -> bool:
        return (
            self._patience_ms is not None
            and self._failing_since_ms is not None
            and clock_ms() - self._failing_since_ms > self._patience_ms
        )

    def _give_up(self) -> None:
        """Tell who waits, after too long a time of nothing but faults; not who may yet be sent."""
        if self._given_up():
            for receipt in [r for r in self._queue if r.sent or not self._connected]:
                self._queue.remove(receipt)
                self._settle(receipt, Unreached() if receipt.sent else Unsettled("never sent"))

    # --- time ---

    def _sweep(self) -> None:
        while True:
            gevent.sleep(SWEEP_SECONDS)
            self._sweep_once(clock_ms())

    def _sweep_once(self, now_ms: int) -> None:
        for receipt in [r for r in self._queue if now_ms > r.command.deadline_ms]:
            self._queue.remove(receipt)
            self._expire(receipt)
        for receipt in [r for r in self._open if now_ms > r.command.deadline_ms + LAST_COMMIT_MS]:
            self._settle(receipt, Unreached())
        self._give_up()
        if self._connected and not self._open:  # the next one shall not pay for what is long past
            self._failing_since_ms = None
        if self._queue and (self._ahead is None or self._has_waited(now_ms)):
            self._wake_another_sender()  # there may be no lull for long, or a worker that hangs
        for receipt in self._open:
            if now_ms >= receipt.wait_until_ms:
                receipt.wake()

    def _has_waited(self, now_ms: int) -> bool:
        return now_ms - self._queue[0].handed_us // 1_000 > SWEEP_SECONDS * 1_000
