"""A ledger on disk against the naive sale, through crashes, repetitions and stale lock holders."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from tests.harness import SEED
from tests.property.sale import Sale
from tests.property.wishes import batches
from workers.audit import audit
from workers.domain import Command, Event, Order, Outcome
from workers.errors import Fenced
from workers.ledgers.sqlite import SqliteLedger
from workers.ledgers.sqlite_reader import SqliteReader
from workers.rules import Settlement, settle

WORKERS = 2


class SaleOnDisk(Sale):
    """Two workers take turns with one SQLite file; one of them crashes now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.path = self.directory / "ledger.db"
        self.workers = [SqliteLedger(self.path) for _ in range(WORKERS)]
        self.reader = SqliteReader(self.path)
        self.turn = 0
        self.token = 0

    @property
    def worker(self) -> SqliteLedger:
        return self.workers[self.turn % WORKERS]

    def decide(self, batch: list[Command]) -> Settlement:
        return settle(self.worker.load(batch), batch, self.now)

    def outcomes(self, batch: list[Command]) -> list[Outcome]:
        settlement = self.decide(batch)
        self.token += 1
        self.worker.commit(settlement, self.token)
        return settlement.outcomes

    def events(self) -> list[Event]:
        return self.reader.events()

    def orders_of(self, event: str) -> list[Order]:
        return self.reader.orders(event, 0, 10_000)

    @rule()
    def let_the_other_worker_go_on(self) -> None:
        self.turn += 1

    @rule(batch=batches)
    def crash_before_the_commit(self, batch: list[Command]) -> None:
        """Nothing of the batch is there, and the frame will be sent again."""
        self.decide(batch)
        self.start_again()
        self.sent.append(batch)

    @rule(batch=batches)
    def crash_after_the_commit(self, batch: list[Command]) -> None:
        """All of the batch is there, and its answers are lost; the frame is sent again."""
        self.settle(batch)
        self.start_again()
        self.settle(batch)

    @precondition(lambda self: self.token)
    @rule(batch=batches, behind=st.integers(0, 3))
    def wake_up_as_a_stale_holder(self, batch: list[Command], behind: int) -> None:
        """A token that is not newer than what was committed writes nothing."""
        settlement = self.decide(batch)
        stale = max(self.worker.last_token() - behind, 0)
        try:
            self.worker.commit(settlement, stale)
        except Fenced:
            return
        raise AssertionError("a stale holder was let in")

    def start_again(self) -> None:
        self.worker.close()
        self.workers[self.turn % WORKERS] = SqliteLedger(self.path)

    def teardown(self) -> None:
        try:
            super().teardown()
            for event in self.events():
                found = audit(self.reader, event.id, lambda: None)
                assert found is not None
                assert found.consistent, found.findings
        finally:
            self.reader.close()
            for worker in self.workers:
                worker.close()
            shutil.rmtree(self.directory)


def test_a_ledger_on_disk_agrees_with_the_naive_sale_through_every_crash() -> None:
    run_state_machine_as_test(
        seed(SEED)(SaleOnDisk),
        settings=settings(max_examples=30, stateful_step_count=20),
    )
