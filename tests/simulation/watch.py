"""A worker's ledger that is looked at: what it commits, and what it was decided on."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.scheduler import sim
from workers.domain import Command, Purchase, Sold, TooLate
from workers.rules import Settlement, State
from workers.worker import Worker


class WatchedLedger:
    """A worker's ledger. A commit is noted before anybody else can go on."""

    def __init__(self, worker: Worker, committed: Callable[[int], None]) -> None:
        self._worker = worker
        self._ledger = worker.ledger
        self._committed = committed
        self._late: set[str] = set()  # of the batch; by a purchase's id
        self._known: set[str] = set()  # orders that were there when the batch was decided
        self._commands: list[Command] = []
        self.last_token = worker.ledger.last_token
        self.close = worker.ledger.close

    def load(self, commands: list[Command]) -> State:
        now_ms = self._worker.now().clock_ms
        self._late = {
            c.id for c in commands if isinstance(c, Purchase) and now_ms > c.deadline_ms
        } - {c.id for c in commands if isinstance(c, Purchase) and now_ms <= c.deadline_ms}
        state = self._ledger.load(commands)
        self._known = {c.id for c in commands if isinstance(c, Purchase)} & state.orders.keys()
        self._commands = list(commands)
        return state

    def commit(self, settlement: Settlement, token: int) -> None:
        self._ledger.commit(settlement, token)
        for outcome in settlement.outcomes:
            if (
                isinstance(outcome, Sold)
                and not outcome.replayed
                and outcome.order.id in self._late
            ):
                sim().fail(f"order {outcome.order.id} was sold past its deadline")
        for command, outcome in zip(self._commands, settlement.outcomes, strict=False):
            if isinstance(outcome, TooLate) and getattr(command, "id", "") in self._known:
                sim().fail(f"order {command} was there, and is answered as too late")
        if settlement.entries:
            self._committed(token)
