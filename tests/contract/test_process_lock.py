"""The lock of one host: what every lock owes, what others see of its holder, and stale holders."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from tests.contract.lock_contract import PATIENCE_SECONDS, LockContract, LockOf
from tests.harness import wait_until
from tests.unit.builders import NOW, buy, gala, order_id, put
from workers.domain import Command
from workers.errors import Fenced
from workers.hearts import Hearts, Phase, clock_ms
from workers.ledgers.sqlite import SqliteLedger
from workers.ledgers.sqlite_reader import SqliteReader
from workers.locks import HeldProcessLock, ProcessLock
from workers.rules import settle

fork = mp.get_context("fork")


@pytest.fixture
def hearts(tmp_path: Path) -> Hearts:
    """Where holders say where they are."""
    return Hearts(tmp_path / "hearts", 8, create=True)


def held(shared: ProcessLock, hearts: Hearts, worker: int) -> HeldProcessLock:
    return HeldProcessLock(shared, hearts.start(worker, os.getpid()))


class TestProcessLock(LockContract):
    @pytest.fixture
    def lock_of(self, hearts: Hearts) -> LockOf:
        shared = ProcessLock()
        return lambda worker: held(shared, hearts, worker)


# --- what the supervisor sees ---------------------------------------------------------------------


def test_others_see_who_waits_who_holds_and_who_does_neither(hearts: Hearts) -> None:
    shared = ProcessLock()
    lock = held(shared, hearts, 1)
    with lock:
        assert hearts.pulse(1).phase is Phase.HOLDING
        waiting = fork.Process(target=hold_once, args=(shared, hearts, 2), daemon=True)
        waiting.start()
        wait_until(lambda: hearts.pulse(2).phase is Phase.TAKING, 10, "the other one asks")
    assert hearts.pulse(1).phase is Phase.IDLE
    waiting.join(PATIENCE_SECONDS)
    assert hearts.pulse(2).phase is Phase.IDLE


def test_who_waits_long_keeps_giving_signs_of_life(hearts: Hearts) -> None:
    """Or it would be taken for hung, and killed, while another one is at work."""
    shared = ProcessLock()
    with held(shared, hearts, 1):
        waiting = fork.Process(target=hold_once, args=(shared, hearts, 2), daemon=True)
        waiting.start()
        wait_until(lambda: hearts.pulse(2).phase is Phase.TAKING, 10, "the other one asks")
        since = clock_ms()
        wait_until(lambda: hearts.pulse(2).beat_clock_ms > since, 10, "it beats")
        assert hearts.pulse(2).phase is Phase.TAKING
    waiting.join(PATIENCE_SECONDS)


def test_a_holder_that_was_killed_is_seen_holding_and_the_lock_stays_taken(
    hearts: Hearts,
) -> None:
    """A plain semaphore knows no owner: the cure is the supervisor's, and this is how it knows."""
    shared = ProcessLock()
    victim = fork.Process(target=hold_for_ever, args=(shared, hearts, 1), daemon=True)
    victim.start()
    wait_until(lambda: hearts.pulse(1).phase is Phase.HOLDING, 10, "the victim holds")
    victim.kill()
    victim.join()
    assert hearts.pulse(1).phase is Phase.HOLDING
    assert not shared.semaphore.acquire(block=False)


def hold_once(shared: ProcessLock, hearts: Hearts, worker: int) -> None:
    with held(shared, hearts, worker):
        pass


def hold_for_ever(shared: ProcessLock, hearts: Hearts, worker: int) -> None:
    with held(shared, hearts, worker):
        signal.pause()


# --- with a ledger --------------------------------------------------------------------------------


def sell(path: Path, token: int, *commands: Command) -> None:
    ledger = SqliteLedger(path)
    ledger.commit(settle(ledger.load(list(commands)), list(commands), NOW), token)
    ledger.close()


def test_tokens_start_above_what_the_ledger_has_seen(tmp_path: Path, hearts: Hearts) -> None:
    """After a restart a new lock counts from one again; the ledger remembers."""
    path = tmp_path / "ledger.db"
    sell(path, 1_000, put(gala()))
    shared = ProcessLock()
    lock = held(shared, hearts, 1)
    with lock:
        ledger = SqliteLedger(path)
        shared.start_above(ledger.last_token())
    with lock as token:
        assert token > 1_000
        ledger.commit(settle(ledger.load([buy(1)]), [buy(1)], NOW), token)
    ledger.close()


def test_a_second_worker_that_starts_sets_no_token_back(hearts: Hearts) -> None:
    shared = ProcessLock()
    for worker, seen in ((1, 50), (2, 3)):
        with held(shared, hearts, worker):
            shared.start_above(seen)
    with held(shared, hearts, 3) as token:
        assert token > 50


def test_a_stopped_holder_that_wakes_up_after_others_went_on_sells_nothing(
    tmp_path: Path, hearts: Hearts
) -> None:
    """It took the lock, slept, was given up, and a new generation sold under a new lock."""
    path = tmp_path / "ledger.db"
    sell(path, 1, put(gala(1)))
    old = ProcessLock()
    old.start_above(1)
    mine, its = fork.Pipe()
    sleeper = fork.Process(target=sell_late, args=(old, hearts, path, its), daemon=True)
    sleeper.start()
    assert mine.recv() == "holding"
    assert sleeper.pid is not None
    os.kill(sleeper.pid, signal.SIGSTOP)

    new = ProcessLock()
    with held(new, hearts, 2):
        ledger = SqliteLedger(path)
        new.start_above(ledger.last_token())
        ledger.close()
    with held(new, hearts, 2) as token:
        sell(path, token, buy(1))

    os.kill(sleeper.pid, signal.SIGCONT)
    mine.send("go on")
    assert mine.recv() == "fenced"
    sleeper.join(PATIENCE_SECONDS)
    reader = SqliteReader(path)
    assert [order.id for order in reader.orders("gala", 0, 9)] == [order_id(1)]
    reader.close()


def sell_late(shared: ProcessLock, hearts: Hearts, path: Path, tell: Connection) -> None:
    with held(shared, hearts, 1) as token:
        tell.send("holding")
        tell.recv()
        try:
            sell(path, token, buy(2))
        except Fenced:
            tell.send("fenced")
