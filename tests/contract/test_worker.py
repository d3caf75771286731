"""A worker put together as the pool does: real inbox, lock and ledger, a batch at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import gevent
import pytest
from msgspec.structs import replace

from tests.contract.ends import LONG_MS, PATIENCE_SECONDS, Ends, wait_for
from tests.contract.test_unix_handoff import UnixMeeting
from tests.unit.builders import buy, cancel, gala, put, settle_with_a_bug, switch
from workers.audit import audit
from workers.domain import (
    Cancelled,
    Command,
    Now,
    Outcome,
    Sold,
    SoldOut,
    Stored,
    TooLate,
    Unsettled,
)
from workers.handoffs.courier import Receipt
from workers.hearts import Hearts, Phase, clock_ms, wall_ms
from workers.ledgers.sqlite import SqliteLedger
from workers.ledgers.sqlite_reader import SqliteReader
from workers.locks import HeldProcessLock, ProcessLock
from workers.metrics import FAULTS, FENCED, INCONSISTENT
from workers.worker import Worker


class Shop:
    """Two workers of one ledger, and three web processes: two prefer worker 1, one worker 2.

    A test says when a worker works; the web's end waits meanwhile.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "ledger.db"
        self.ends = Ends(UnixMeeting(data_dir))
        self.hearts = Hearts(data_dir / "hearts", 2, create=True)
        self.lock = ProcessLock()
        self.workers = {number: self._hire(number) for number in (1, 2)}
        self._couriers = [self.ends.courier(worker) for worker in (1, 1, 2)]
        self.settle(put(gala(10)), courier=0)
        self.settle(put(gala(10)), courier=1)
        self.settle(put(gala(10)), courier=2)

    def _hire(self, number: int) -> Worker:
        heart = self.hearts.start(number, os.getpid())
        lock = HeldProcessLock(self.lock, heart)
        inbox = self.ends.meeting.inbox(number)
        return Worker(inbox, lock, SqliteLedger(self.path), heart, now, batch_max=100)

    def send(
        self, *commands: Command, courier: int = 0, deadline_ms: int | None = None
    ) -> list[Receipt]:
        """Hand commands over and let them leave."""
        limit = deadline_ms or clock_ms() + LONG_MS
        in_time = [replace(command, deadline_ms=limit) for command in commands]
        receipts = [self._couriers[courier].hand_over(command) for command in in_time]
        wait_for(lambda: all(receipt.sent for receipt in receipts), "they leave")
        return receipts

    def work(self, worker: int = 1) -> None:
        """Let a worker settle one batch."""
        wait_for(lambda: self.workers[worker].run_once(0), "a batch")

    def settle(self, *commands: Command, courier: int = 0) -> list[Outcome | None]:
        receipts = self.send(*commands, courier=courier)
        self.work(2 if courier == 2 else 1)
        return outcomes(receipts)

    def ledger_of(self, worker: int) -> Any:
        """Return a worker's connection to the ledger file."""
        ledger: Any = self.workers[worker].ledger
        return ledger._connection

    def counted(self, worker: int, word: int) -> int:
        """Return what a worker has counted of something."""
        return int(self.workers[worker].slot.words[word])

    def damage(self, sql: str) -> None:
        connection = apsw.Connection(str(self.path))
        connection.execute(sql)
        connection.close()

    def close(self) -> None:
        for worker in self.workers.values():
            worker.inbox.close()
            worker.ledger.close()
        self.ends.close()


def now() -> Now:
    return Now(wall_ms(), clock_ms())


def outcomes(receipts: list[Receipt]) -> list[Outcome | None]:
    return [receipt.wait(PATIENCE_SECONDS) for receipt in receipts]


def kinds(found: list[Outcome | None]) -> list[type]:
    return [type(outcome) for outcome in found]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop that sells ten tickets."""
    shop = Shop(tmp_path)
    yield shop
    shop.close()


def test_what_several_web_processes_send_at_once_is_one_batch_and_all_get_their_own(
    shop: Shop,
) -> None:
    before = shop.hearts.pulse(1)
    first, second = shop.send(buy(1, 2), buy(2, 20)), shop.send(buy(3, 3), courier=1)
    shop.work()
    assert kinds(outcomes(first)) == [Sold, SoldOut]
    assert kinds(outcomes(second)) == [Sold]
    after = shop.hearts.pulse(1)
    assert (after.batches - before.batches, after.purchases - before.purchases) == (1, 3)
    assert after.phase is Phase.IDLE


def test_what_the_administration_does_is_a_batch_and_no_purchase(shop: Shop) -> None:
    before = shop.hearts.pulse(1)
    assert kinds(shop.settle(buy(1), cancel(1), switch("paused"))) == [Sold, Cancelled, Stored]
    after = shop.hearts.pulse(1)
    assert (after.batches - before.batches, after.purchases - before.purchases) == (1, 1)


def test_what_arrives_while_a_worker_waits_for_the_lock_joins_its_batch(shop: Shop) -> None:
    before = shop.hearts.pulse(1).batches
    first = shop.send(buy(1))
    shop.lock.semaphore.acquire()
    working = gevent.get_hub().threadpool.spawn(shop.workers[1].run_once, 1)
    wait_for(lambda: shop.hearts.pulse(1).phase is Phase.TAKING, "it asks for the lock")
    second = shop.send(buy(2), courier=1)
    shop.lock.semaphore.release()
    assert kinds(outcomes(first + second)) == [Sold, Sold]
    working.get()
    assert shop.hearts.pulse(1).batches == before + 1


def test_a_purchase_sent_to_one_worker_and_then_to_another_is_sold_once(shop: Shop) -> None:
    [first] = shop.settle(buy(1, 2))
    assert isinstance(first, Sold)
    assert shop.settle(buy(1, 2), courier=2) == [Sold(first.order, replayed=True)]


def test_a_purchase_that_waited_beyond_its_deadline_at_a_worker_is_not_sold(shop: Shop) -> None:
    limit = clock_ms() + 50
    [receipt] = shop.send(buy(1), deadline_ms=limit)
    wait_for(lambda: clock_ms() > limit, "the deadline passes")
    shop.work()
    assert outcomes([receipt]) == [TooLate()]
    assert kinds(shop.settle(buy(1))) == [Sold]  # with a deadline that is not over


def test_a_worker_that_is_told_to_stop_settles_what_waits_and_leaves(shop: Shop) -> None:
    receipts = shop.send(buy(1)) + shop.send(buy(2), courier=1)
    shop.workers[1].stopping = True
    shop.workers[1].run()
    assert kinds(outcomes(receipts)) == [Sold, Sold]


def test_more_than_a_batch_may_hold_is_settled_in_several(shop: Shop) -> None:
    before = shop.hearts.pulse(1).batches
    shop.workers[1].batch_max = 2
    first, second = shop.send(buy(1), buy(2)), shop.send(buy(3), buy(4), courier=1)
    shop.work()
    shop.work()
    assert kinds(outcomes(first + second)) == [Sold] * 4
    assert shop.hearts.pulse(1).batches == before + 2


# --- faults: the batch is not lost, nobody else is held up, and the same key sells later ----------


@pytest.mark.parametrize(
    "damage",
    ["UPDATE orders SET items = '['", "UPDATE ticket_types SET id = 'stalls'"],
    ids=["an order cannot be read", "a sold type is gone"],
)
def test_a_command_that_cannot_be_settled_is_given_up_alone(shop: Shop, damage: str) -> None:
    shop.settle(buy(1))
    shop.damage(damage)
    found = shop.settle(buy(2), cancel(1), buy(3))
    assert kinds(found) == [Sold, Unsettled, Sold]
    assert shop.counted(1, INCONSISTENT.at) + shop.counted(1, FAULTS.of("settle")) > 0
    assert kinds(shop.settle(cancel(1))) == [Unsettled]


@pytest.mark.parametrize(
    "damage",
    ["UPDATE orders SET items = '['", "UPDATE ticket_types SET id = 'stalls'"],
    ids=["an order cannot be read", "a sold type is gone"],
)
def test_a_worker_that_gave_up_a_command_keeps_the_ledger_from_nobody(
    shop: Shop, damage: str
) -> None:
    shop.settle(buy(1))
    shop.damage(damage)
    shop.settle(cancel(1))
    shop.ledger_of(2).set_busy_timeout(1)
    assert kinds(shop.settle(buy(2), courier=2)) == [Sold]


def test_a_bug_that_one_command_meets_ends_no_worker_and_holds_up_nobody(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("workers.worker.settle", settle_with_a_bug)
    shop.ledger_of(2).set_busy_timeout(1)
    assert kinds(shop.settle(buy(1), buy(2), buy(3))) == [Sold, Unsettled, Sold]
    assert kinds(shop.settle(buy(4), courier=2)) == [Sold]
    assert "given up: Purchase: ZeroDivisionError()" in caplog.text
    assert "Traceback" in caplog.text, "whoever mends it is told where"


def test_a_number_that_no_row_can_hold_is_given_up_alone(shop: Shop) -> None:
    found = shop.settle(put(gala(10), max_per_order=2**63), buy(1))
    assert kinds(found) == [Unsettled, Sold]


def test_a_worker_that_lost_the_lock_says_that_nothing_is_known_and_then_goes_on(
    shop: Shop,
) -> None:
    shop.damage("UPDATE ledger SET fence = 1000")
    assert kinds(shop.settle(buy(1), put(gala(20)))) == [Unsettled, Unsettled]
    assert shop.counted(1, FENCED.at) == 1
    shop.lock.start_above(1_000)
    assert kinds(shop.settle(buy(1), courier=2)) == [Sold]


def test_on_a_full_disk_nothing_is_known_and_with_room_the_same_keys_sell(shop: Shop) -> None:
    shop.settle(put(gala(100_000)))
    shop.ledger_of(1).execute("PRAGMA max_page_count = 1")  # SQLite takes what there is already
    wishes = [buy(key, 900, buyer="b" * 250) for key in range(50)]
    assert kinds(shop.settle(*wishes)) == [Unsettled] * 50
    assert shop.counted(1, FAULTS.of("settle")) == 1
    shop.ledger_of(1).execute("PRAGMA max_page_count = 1000000")
    assert kinds(shop.settle(*wishes)) == [Sold] * 50
    reader = SqliteReader(shop.path)
    found = audit(reader, "gala", lambda: None)
    reader.close()
    assert found is not None
    assert found.consistent, found.findings


def test_a_cancel_reaches_an_order_that_another_worker_sold(shop: Shop) -> None:
    shop.settle(buy(1, 10), courier=2)
    found = shop.settle(buy(2), cancel(1), buy(2))
    assert kinds(found) == [SoldOut, Cancelled, Sold]
