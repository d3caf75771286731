"""The desk: where routes hand a command over and wait for its outcome, as long as they may."""

from __future__ import annotations

from workers.domain import Command, Outcome, Probe
from workers.handoffs.courier import Receipt
from workers.handoffs.couriers import Carrier
from workers.hearts import LAST_COMMIT_MS, clock_ms, wall_ms
from workers.settings import Settings


class Desk:
    """Deadlines and waits of one web process, by the settings."""

    def __init__(self, settings: Settings, carrier: Carrier) -> None:
        self._carrier = carrier
        self._wait_seconds = settings.wait_seconds
        self._deadline_ms = round(settings.deadline_seconds * 1000)
        self.wait_max_seconds = settings.deadline_seconds

    def deadline_ms(self) -> int:
        """Return, by the monotonic clock, when a command that arrives now expires."""
        return clock_ms() + self._deadline_ms

    def expires_at_ms(self, command: Command) -> int:
        """Return, by the wall clock, from when on a command that is not settled never will be.

        That is later than its deadline: a worker that looked in time still has to commit.
        """
        return wall_ms() + command.deadline_ms - clock_ms() + LAST_COMMIT_MS

    def settle(self, command: Command, wait_seconds: float | None = None) -> Outcome | None:
        """Hand a command over and wait; None if it is not settled yet. Raises Overloaded."""
        return self.hand_over(command, wait_seconds).outcome

    def hand_over(self, command: Command, wait_seconds: float | None = None) -> Receipt:
        """Hand a command over and wait; its receipt says what became of it. Raises Overloaded."""
        receipt = self._carrier.hand_over(command)
        receipt.wait(self._wait_seconds if wait_seconds is None else wait_seconds)
        return receipt

    @property
    def faults(self) -> list[str]:
        """Why no answers come from the workers now, as far as is known."""
        return self._carrier.faults

    def probe(self, seconds: float) -> list[Outcome | None]:
        """Ask the workers of every shard for a sign of life. Raises Overloaded, Unavailable."""
        deadline_ms = clock_ms() + round(seconds * 1000)
        receipts = self._carrier.everywhere(Probe(deadline_ms))
        return [receipt.wait((deadline_ms - clock_ms()) / 1000) for receipt in receipts]
