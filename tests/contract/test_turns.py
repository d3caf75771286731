"""A worker's turn in Redis: sleepers, cut connections and lost ledgers change nothing twice."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import time
from itertools import count
from multiprocessing.connection import Connection

import pytest

from tests.contract.redis_places import server_at, turn_at
from tests.contract.redis_workers import (
    IN_GOOD_TIME_MS,
    KEYS,
    PATIENCE_SECONDS,
    append,
    send,
    settle_all,
    worker_of,
)
from tests.servers.cutter import Cutter, Moment
from tests.servers.redis_server import RedisServer
from tests.unit.builders import buy, gala, order_id, put, settle_with_a_bug
from workers.audit import audit
from workers.domain import Now
from workers.errors import LedgerLost
from workers.hearts import Hearts
from workers.ledgers.redis import RedisLedger
from workers.ledgers.redis_reader import RedisReader
from workers.metrics import FENCED
from workers.shards.memory import Mark
from workers.worker import Worker

TTL_MS = 100

fork = mp.get_context("fork")


def check_sold(redis: RedisServer, *keys: int) -> None:
    """Check that just these were sold, and that the ledger is sound."""
    reader = RedisReader(server_at(redis.url))
    orders = reader.orders("gala", 0, 1_000)
    found = audit(reader, "gala", lambda: None)
    reader.close()
    assert sorted(order.id for order in orders) == sorted(order_id(key) for key in keys)
    assert found is not None
    assert found.consistent, found.findings
    assert found.sold == len(keys)


# --- a holder that sleeps -------------------------------------------------------------------------


def sleeper(url: str, hearts: Hearts, tells: Connection) -> None:
    """Be a worker that is stopped between deciding and committing, in every batch."""
    turn = turn_at(url, 2, TTL_MS)

    def now() -> Now:
        tells.send("holding")
        tells.recv()  # where the test stops and continues this process
        return turn.now()

    worker = worker_of(turn, hearts, 2)
    worker.now = now
    while True:
        if worker.run_once(0.05):
            tells.send("settled or refused")


@pytest.mark.long
def test_a_holder_stopped_for_three_leases_never_writes_what_is_stale_50_times_over(
    redis_server: RedisServer, worker: Worker, hearts: Hearts
) -> None:
    send(redis_server.url, put(gala(1_000)))
    settle_all(worker, redis_server)
    worker.ledger.close()
    mine, others = fork.Pipe()
    process = fork.Process(target=sleeper, args=(redis_server.url, hearts, others))
    process.start()
    try:
        for key in range(50):
            send(redis_server.url, buy(key))
            assert mine.poll(PATIENCE_SECONDS)
            assert mine.recv() == "holding"
            assert process.pid is not None
            os.kill(process.pid, signal.SIGSTOP)
            time.sleep(3 * TTL_MS / 1000)  # the time that is tested, not a hope
            settle_all(worker, redis_server)
            committed = redis_server.ask("HGETALL", KEYS.meta)
            mine.send("go on")
            os.kill(process.pid, signal.SIGCONT)
            assert mine.poll(PATIENCE_SECONDS)
            assert mine.recv() == "settled or refused"
            after = redis_server.ask("HGETALL", KEYS.meta)
            assert after["committed"] == committed["committed"]
    finally:
        process.kill()
        process.join()
    check_sold(redis_server, *range(50))


def test_whoever_took_the_lock_later_makes_the_earlier_ones_commit_void(
    redis_server: RedisServer, worker: Worker, hearts: Hearts
) -> None:
    """Also if the later one has not committed yet: it may have read what the other changes."""
    early, late = (turn_at(redis_server.url, n, TTL_MS) for n in (2, 3))
    first, second = worker_of(early, hearts, 2), worker_of(late, hearts, 3)
    send(redis_server.url, buy(1, 10))

    def meanwhile() -> Now:
        while not late.take(512, 0.05):
            pass
        return early.now()

    first.now = meanwhile
    assert first.run_once(0) == 1
    assert not redis_server.ask("LLEN", KEYS.tickets("gala"))
    with second.lock:
        pass
    settle_all(second, redis_server)
    assert redis_server.ask("LLEN", KEYS.tickets("gala")) == 10
    early.close()
    late.close()


# --- a wire that is cut ---------------------------------------------------------------------------


@pytest.mark.parametrize("moment", list(Moment))
def test_a_purchase_is_sold_once_wherever_the_wire_is_cut(
    redis_server: RedisServer, worker: Worker, hearts: Hearts, moment: Moment
) -> None:
    """At every command of a worker's batch in turn, its boot and the next beginning included."""
    sold = []
    worker.ledger.close()
    send(redis_server.url, put(gala(1_000)))
    settle_all(worker, redis_server)
    with Cutter(redis_server.port) as cutter:
        for nth in count(1):
            turn = turn_at(cutter.through(redis_server.url), 2)
            behind = worker_of(turn, hearts, 2)
            send(redis_server.url, buy(2 * nth), buy(2 * nth + 1))
            cutter.cut(moment, nth)
            settle_all(behind, redis_server)
            sold += [2 * nth, 2 * nth + 1]
            struck = cutter.struck
            cutter.watch()
            turn.close()
            if struck is None:
                break
        assert nth > 3
    check_sold(redis_server, *sold)


# --- another Redis than before --------------------------------------------------------------------


def test_a_redis_that_came_back_empty_is_not_sold_from(
    redis_server: RedisServer, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    redis_server.flush()
    with pytest.raises(AssertionError, match="frames are left"):
        pass_time_with(worker, redis_server)
    assert "came back empty" in caplog.text


def pass_time_with(worker: Worker, redis: RedisServer) -> None:
    """Offer the empty Redis a new event, as somebody who knows nothing of the old one would."""
    send(redis.url, put(gala(10)))
    for _ in range(5):
        worker.run_once(0.05)
    assert not redis.ask("XLEN", KEYS.commands), "frames are left"


def test_an_older_redis_is_not_sold_from(
    redis_server: RedisServer, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    older = redis_server.ask("HGET", KEYS.meta, "committed")
    send(redis_server.url, buy(1))
    settle_all(worker, redis_server)
    newest = redis_server.ask("HGETALL", KEYS.meta)
    redis_server.ask("HSET", KEYS.meta, "committed", older)
    send(redis_server.url, buy(2))
    for _ in range(5):
        worker.run_once(0.05)
    assert redis_server.ask("XLEN", KEYS.commands) == 1
    assert "came back older" in caplog.text
    redis_server.ask("DEL", KEYS.meta)
    redis_server.ask("HSET", KEYS.meta, *(text for pair in newest.items() for text in pair))
    settle_all(worker, redis_server)
    check_sold(redis_server, 1, 2)


def test_what_was_sold_beside_a_command_that_cannot_be_settled_is_confirmed(
    redis_server: RedisServer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is settled by itself then, and all are answered together."""
    monkeypatch.setattr("workers.worker.settle", settle_with_a_bug)
    send(redis_server.url, buy(1), buy(2))
    settle_all(worker, redis_server)
    check_sold(redis_server, 1)
    changed, confirmed = redis_server.ask("HMGET", KEYS.meta, "changed", "confirmed")
    assert confirmed == changed


def test_an_answer_to_garbage_confirms_nothing(redis_server: RedisServer, worker: Worker) -> None:
    """Another worker may have written what no replica has yet, and be gone."""
    redis_server.ask("HSET", KEYS.meta, "changed", "99 gone")
    server = server_at(redis_server.url)
    append(server.link(1), worker_ledger(worker), IN_GOOD_TIME_MS)
    server.close()
    settle_all(worker, redis_server)
    assert redis_server.ask("HGET", KEYS.meta, "confirmed") != "99 gone"


def worker_ledger(worker: Worker) -> str:
    assert isinstance(worker.ledger, RedisLedger)
    identity = worker.ledger._turn.server.identity()
    assert identity is not None
    return identity.id


def test_every_read_of_an_older_redis_says_what_it_is(redis_server: RedisServer) -> None:
    """Not only the first: a server that does not answer is left alone for a moment."""
    server = server_at(redis_server.url)
    server.memory.learn(1, Mark(99, "gone"), ())
    reader = RedisReader(server)
    for _ in range(5):
        with pytest.raises(LedgerLost, match="batch 99 of shard 1 is missing"):
            reader.look(1)
    reader.close()


def test_a_batch_that_cannot_be_settled_is_said_once_and_by_nobody_else(
    redis_server: RedisServer, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(worker.ledger, RedisLedger)
    worker.ledger._replicas = 1  # of which there are none: what is read can never be settled
    send(redis_server.url, buy(1))
    for _ in range(3):
        worker.run_once(0.05)
    assert [record.getMessage() for record in caplog.records] == [
        "a batch of 1 is not settled: only 0 of 1 replicas have the batch"
    ]


def test_a_commit_is_refused_that_comes_later_than_its_turn_allows(
    redis_server: RedisServer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else has the lock; but a deadline that was kept when it was read may have passed."""
    monkeypatch.setattr("workers.shards.turn.TURN_MAX_MS", -1)
    send(redis_server.url, buy(1))
    for _ in range(3):
        worker.run_once(0.05)
    assert redis_server.ask("XLEN", KEYS.commands) == 1
    assert worker.slot.words[FENCED.at] > 0
    monkeypatch.undo()
    settle_all(worker, redis_server)
    check_sold(redis_server, 1)


def test_a_purchase_past_its_deadline_by_redis_clock_is_too_late_whatever_hosts_think(
    redis_server: RedisServer, worker: Worker
) -> None:
    server = server_at(redis_server.url)
    identity = server.identity()
    assert identity is not None
    link = server.link(1)
    for key, offset_ms in ((1, 0), (2, IN_GOOD_TIME_MS)):
        append(link, identity.id, offset_ms, buy(key))
    link.close()
    server.close()
    settle_all(worker, redis_server)
    check_sold(redis_server, 2)
