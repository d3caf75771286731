"""A worker's ledger that is looked at: what it commits, and what it was decided on."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.scheduler import sim
from workers.domain import Command, Purchase, Sold
from workers.rules import Settlement, State
from workers.worker import Worker


class WatchedLedger:
    """A worker's ledger. A commit is noted before anybody else can go on."""

    def __init__(self, worker: Worker, committed: Callable[[int], None]) -> None:
        self._worker = worker
        self._ledger = worker.ledger
        self._committed = committed
        self._late: set[str] = set()  # of the batch; by a purchase's id
        self.last_token = worker.ledger.last_token
        self.close = worker.ledger.close

    def load(self, commands: list[Command]) -> State:
        now_ms = self._worker.now().clock_ms
        self._late = {
            c.id for c in commands if isinstance(c, Purchase) and now_ms > c.deadline_ms
        } - {c.id for c in commands if isinstance(c, Purchase) and now_ms <= c.deadline_ms}
        return self._ledger.load(commands)

    def commit(self, settlement: Settlement, token: int) -> None:
        self._ledger.commit(settlement, token)
        for outcome in settlement.outcomes:
            if isinstance(outcome, Sold) and not outcome.replayed and outcome.order.id in self._late:
                sim().fail(f"order {outcome.order.id} was sold past its deadline")
        if settlement.entries:
            self._committed(token)
