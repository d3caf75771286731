"""Before the first event there is no ledger; whoever puts it makes one, and only one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.contract.redis_places import server_at
from tests.harness import START_SECONDS, wait_until
from tests.hosts.hosts import StartHost, events_of_all, started
from tests.servers.cutter import Cutter, Moment
from tests.servers.redis_server import RedisServer
from tests.unit.builders import put
from workers.domain import Command, Event, Outcome, Stored, TicketType
from workers.errors import LedgerFault
from workers.handoffs.redis_stream import RedisInbox, RedisLane
from workers.hearts import Hearts, clock_ms
from workers.ledgers.redis import RedisLedger
from workers.ledgers.redis_reader import RedisReader
from workers.locks import RedisLock
from workers.shards.turn import Turn
from workers.worker import Worker

SHARDS = 4
STEPS = 2 + 1 + 2 + 2 * SHARDS + 1 + 2  # look, draft, look, mark each shard, make ready, look


# --- from outside ---------------------------------------------------------------------------------


def test_nothing_is_sold_before_the_first_event_though_all_is_ready(
    host: StartHost, redis_server: RedisServer
) -> None:
    service = host("serve", web_processes=1).start()
    assert service.ready()
    refused = service.buy("gala")
    assert (refused.status_code, refused.json()["type"]) == (404, "/problems/unknown-event")
    assert service.admin("GET", "/remaining").json()["events"] == []
    for path in ("/remaining/gala", "/events/gala", "/orders/0198b1a8-0000-7000-8000-000000000000"):
        assert service.admin("GET", path).status_code == 404, path
    assert service.admin("POST", "/events/gala/pause").status_code == 404
    assert service.admin("PUT", "/events/gala", {"capacity": -1}).status_code == 422
    assert redis_server.client().get("soldout:ledger") is None
    service.put_event("gala", capacity=1)
    assert service.buy("gala").status_code == 201


def test_two_hosts_that_put_the_first_event_at_once_make_one_ledger(host: StartHost) -> None:
    hosts = [host("serve", shards=2, web_processes=1) for _ in range(2)]
    started(*hosts)
    names = [names[0] for names in events_of_all(2)]
    with ThreadPoolExecutor(2) as pool:
        list(
            pool.map(
                lambda pair: pair[0].put_event(pair[1], capacity=2), zip(hosts, names, strict=True)
            )
        )
    for name in names:
        for service in hosts:
            assert service.buy(name).status_code == 201
        assert [service.audit(name)["sold"] for service in hosts] == [2, 2]
    assert not any("another ledger" in service.log() for service in hosts)


def test_hosts_that_were_there_before_the_ledger_take_its_number_of_shards(host: StartHost) -> None:
    """Who was not told how many there are assumed one; a lock that is left would show for 60 s."""
    late = {"workers": SHARDS, "lock_ttl_ms": 60_000, "web_processes": 1}
    early, decided = host("serve", **late), host("serve", shards=SHARDS, **late)
    workers = early.start().workers()
    decided.start()
    names = [names[0] for names in events_of_all(SHARDS)]
    for name in names:
        decided.put_event(name, capacity=2)
    wait_until(lambda: not set(workers) & set(early.workers()), START_SECONDS, early.log)
    for name in names:
        assert early.buy(name).status_code == 201
        assert decided.buy(name).status_code == 201
        early.audit(name)
    assert f"has {SHARDS} shards, not 1" in early.log()


# --- a creation that is interrupted ---------------------------------------------------------------


class Desk:
    """A web process's way to the shards and a worker for each of them, all in this process."""

    def __init__(self, url: str, folder: Path) -> None:
        self.web = server_at(url, shards=SHARDS)
        self.reader = RedisReader(self.web)
        hearts = Hearts(folder / "hearts", SHARDS, create=True)
        self.workers = [worker(url, shard, hearts) for shard in range(1, SHARDS + 1)]
        self._thread = ThreadPoolExecutor(1)

    def ask(self, shard: int, command: Command) -> Outcome:
        """Have a worker settle a command, sent again when it was not taken, as a courier does."""
        lane = RedisLane(self.web, shard)
        sent = None
        limit_ms = clock_ms() + 10_000
        while clock_ms() < limit_ms:
            sent = sent or self._thread.submit(sent_on, lane, command)
            self.workers[shard - 1].run_once(0)
            if sent.done():
                outcomes, sent = sent.result(), None
                if outcomes:
                    return outcomes[0]
        raise AssertionError(f"shard {shard} takes nothing")

    def close(self) -> None:
        self._thread.shutdown()
        self.reader.close()
        for each in self.workers:
            each.inbox.close()


def worker(url: str, shard: int, hearts: Hearts) -> Worker:
    heart = hearts.start(shard, os.getpid())
    turn = Turn(
        server_at(url, shards=SHARDS),
        shard,
        owner=f"here:{shard}:1",
        ttl_ms=2_000,
        heart=heart,
        shards=SHARDS,
    )
    return Worker(RedisInbox(turn), RedisLock(turn), RedisLedger(turn), heart, turn.now, 512)


def sent_on(lane: RedisLane, command: Command) -> list[Outcome]:
    try:
        lane.connect()
        return lane.exchange([command])
    except ConnectionError:
        return []
    finally:
        lane.close()


@pytest.fixture
def desk(redis_server: RedisServer, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(redis_server.url, tmp_path)
    yield desk
    desk.close()


@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER], ids=lambda moment: moment.name)
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_ledger_whose_making_was_interrupted_is_made_whole_by_the_next_event(
    desk: Desk, cutter: Cutter, redis_server: RedisServer, step: int, moment: Moment
) -> None:
    assert desk.web.identity() is None
    cutter.cut(moment, step)
    with (
        closing(server_at(cutter.through(redis_server.url), shards=SHARDS)) as maker,
        pytest.raises(LedgerFault),
    ):
        maker.create()
    for each in desk.workers:
        each.run_once(0)
    for shard, (name,) in enumerate(events_of_all(SHARDS), 1):
        event = Event(name, name, [TicketType("standing", 1)])
        wish = put(event, deadline_ms=clock_ms() + 10_000)
        assert isinstance(desk.ask(shard, wish), Stored)
    assert len(desk.reader.events()) == SHARDS
    with closing(server_at(redis_server.url)) as late:
        assert late.create() == desk.web.identity()
