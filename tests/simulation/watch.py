"""A worker's ledger that is looked at: what it commits, and what that was decided on."""

from __future__ import annotations

from tests.simulation.scheduler import sim
from workers.domain import Command, Outcome, Purchase, Sold, TooLate
from workers.rules import Settlement, State
from workers.worker import Worker


class WatchedLedger:
    """A worker's ledger. `in_transaction`: from the load to the commit nobody else can write."""

    def __init__(self, worker: Worker, *, in_transaction: bool = False) -> None:
        self._worker = worker
        self._ledger = worker.ledger
        self._in_transaction = in_transaction
        self._began_ms = 0
        self._fence = 0  # the newest token that had committed
        self._known: set[str] = set()  # orders that were there
        self._commands: list[Command] = []
        self.last_token = worker.ledger.last_token
        self.close = worker.ledger.close

    def load(self, commands: list[Command]) -> State:
        self._began_ms = self._worker.now().clock_ms
        state = self._ledger.load(commands)
        self._known = set(state.orders)
        self._commands = list(commands)
        if self._in_transaction:
            self._fence = self._ledger.last_token()
        return state

    def commit(self, settlement: Settlement, token: int) -> None:
        self._ledger.commit(settlement, token)
        sim().committed = True
        if settlement.entries and self._in_transaction and token <= self._fence:
            sim().fail(f"token {token} committed after token {self._fence}")
        for command, outcome in zip(self._commands, settlement.outcomes, strict=False):
            if isinstance(command, Purchase):
                self._check(command, outcome)

    def _check(self, purchase: Purchase, outcome: Outcome) -> None:
        if isinstance(outcome, TooLate) and purchase.id in self._known:
            sim().fail(f"order {purchase.id} was there, and is answered as too late")
        if isinstance(outcome, Sold) and not outcome.replayed:
            late_ms = self._began_ms - purchase.deadline_ms
            if late_ms > 0:
                sim().fail(f"order {purchase.id} was sold {late_ms} ms past its deadline")
