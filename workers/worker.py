"""One worker: takes what waits, settles it under the lock, commits it, answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from workers.complaints import Complaints
from workers.domain import (
    Command,
    Now,
    Outcome,
    Probe,
    Purchase,
    Unsettled,
)
from workers.errors import BootFailed, Fenced, LedgerFault, SoldoutError, StartAgain
from workers.handoffs import Inbox
from workers.hearts import Heart
from workers.ledgers import Ledger
from workers.locks import Lock
from workers.metrics import BATCH, COMMIT_TIME, FAULTS, FENCED, INCONSISTENT, Slot, clock_us
from workers.rules import Settlement, settle

log = logging.getLogger(__name__)

SAID_AGAIN_MS: Final = 5_000  # of batches that cannot be settled
FOR_THE_POOL: Final = (BootFailed, StartAgain)  # this worker cannot go on, another one may
WAIT_SECONDS: Final = (
    0.2  # for work, between two beats; also how late it may notice that it shall leave
)


class Worker:
    """A pool's worker, put together from an inbox, the lock and a ledger."""

    def __init__(
        self,
        inbox: Inbox,
        lock: Lock,
        ledger: Ledger,
        heart: Heart,
        now: Callable[[], Now],
        batch_max: int,
        slot: Slot | None = None,
    ) -> None:
        self.inbox = inbox
        self.lock = lock
        self.ledger = ledger
        self.heart = heart
        self.now = now
        self.batch_max = batch_max
        self.slot = slot or Slot()
        self._complaints = Complaints(log, SAID_AGAIN_MS)
        self.stopping = False  # set by a signal: finish what waits, then leave

    def run(self) -> None:
        """Work until told to stop, and then until nothing waits."""
        while not self.stopping:
            self.run_once(WAIT_SECONDS)
        while self.run_once(0):
            pass

    def close(self) -> None:
        """Let go of what it holds."""
        self.inbox.close()
        self.ledger.close()

    def run_once(self, wait_seconds: float) -> int:
        """Settle one batch, waiting `wait_seconds` at most; return how many commands it had."""
        batch = self.inbox.take(self.batch_max, wait_seconds)
        self.heart.beat()
        if batch:
            outcomes = self._settle(batch)
            kinds = list(map(type, batch))
            of_the_sale = len(batch) - kinds.count(Probe)
            if of_the_sale:  # before the answer: what anybody was told is counted already
                self.slot.observe(BATCH, of_the_sale)
                self.heart.count(kinds.count(Purchase))
            self.inbox.answer(outcomes)
        return len(batch)

    def _settle(self, batch: list[Command]) -> list[Outcome]:
        """Settle the batch and what came meanwhile, which is added to it; free the lock again."""
        try:
            with self.lock as token:
                batch += self.inbox.take_waiting(self.batch_max - len(batch))
                return self._settle_under_lock(batch, token)
        except (Fenced, LedgerFault) as fault:
            self._count(fault)
            self._complaints.say("a batch of %d is not settled: %s", len(batch), fault)
            return [Unsettled(str(fault))] * len(batch)
        except FOR_THE_POOL:
            raise
        except Exception as bug:  # whatever it is, it shall not end one worker after the other
            self.slot.count(INCONSISTENT.at)
            log.critical("a batch of %d would break the ledger: %s", len(batch), _in_words(bug))
            return [self._settle_alone(command) for command in batch]

    def _count(self, fault: Exception) -> None:
        self.slot.count(FENCED.at if isinstance(fault, Fenced) else FAULTS.of("settle"))

    def _settle_alone(self, command: Command) -> Outcome:
        """Settle what stands beside a command that cannot be settled; only that one is given up."""
        try:
            with self.lock as token:
                return self._settle_under_lock([command], token)[0]
        except FOR_THE_POOL:
            raise
        except Exception as fault:
            log.critical(
                "given up: %s: %s",
                type(command).__name__,
                _in_words(fault),
                exc_info=not isinstance(fault, SoldoutError),
            )
            return Unsettled("it cannot be settled; see the service's log")

    def _settle_under_lock(self, batch: list[Command], token: int) -> list[Outcome]:
        state = self.ledger.load(batch)
        try:
            settlement = settle(state, batch, self.now())
        except Exception:
            self.ledger.commit(Settlement(), token)  # nothing: it only ends what `load` began
            raise
        began = clock_us()
        self.ledger.commit(settlement, token)
        if settlement.entries or settlement.probed:  # else nothing was written
            self.slot.observe(COMMIT_TIME, clock_us() - began)
        return settlement.outcomes


def _in_words(fault: Exception) -> str:
    return str(fault) if isinstance(fault, SoldoutError) else repr(fault)
