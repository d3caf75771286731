"""A lane's connections to Redis: what is sent twice, or comes late, is on the stream once.

Else somebody could be told "sold out", and be sold to when a cancel brings stock back.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.contract.redis_places import server_at
from tests.contract.redis_workers import KEYS, PATIENCE_SECONDS, send, settle_all
from tests.harness import wait_until
from tests.servers.cutter import Cutter, Moment
from tests.servers.redis_server import RedisServer
from tests.unit.builders import buy, cancel, order_id
from workers.domain import Outcome, Sold, SoldOut
from workers.errors import BadSetting
from workers.handoffs import redis_stream
from workers.handoffs.redis_stream import RedisLane
from workers.hearts import clock_ms
from workers.ledgers.redis_reader import RedisReader
from workers.settings import read_settings
from workers.shards import link
from workers.worker import Worker

pytestmark = pytest.mark.usefixtures("worker")

FIRST, REPEATED = 1, 3  # append, read the answers, append again


class Web:
    """A web process with its lane, through a wire that can be held."""

    def __init__(self, redis: RedisServer, worker: Worker) -> None:
        self.redis = redis
        self.worker = worker
        self.cutter = Cutter(redis.port)
        self.server = server_at(self.cutter.through(redis.url))
        self.lane = RedisLane(self.server, 1)
        self._thread = ThreadPoolExecutor(1)
        self._exchange: Future[list[Outcome]] = self._thread.submit(list)

    def send(self, key: int) -> None:
        """Send a frame, and wait for its answer beside."""
        wish = buy(key, deadline_ms=clock_ms() + 60_000)
        self._exchange = self._thread.submit(self.lane.exchange, [wish])

    def settled(self) -> list[Outcome]:
        """Have the worker settle all that waits; return what the buyer hears."""

        def answered() -> bool:
            settle_all(self.worker, self.redis)
            return self._exchange.done()

        wait_until(answered, PATIENCE_SECONDS, "the answer")
        return self._exchange.result()

    def gives_up(self) -> None:
        """Wait until the lane breaks, and connect it anew."""
        with pytest.raises(ConnectionError):
            self._exchange.result(PATIENCE_SECONDS)
        self.lane.close()
        self.lane.connect()

    def close(self) -> None:
        self._thread.shutdown()
        self.lane.close()
        self.server.close()
        self.cutter.close()


@pytest.fixture
def web(
    redis_server: RedisServer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Web]:
    """The gala is sold out, by an order with key 1."""
    web = Web(redis_server, worker)
    send(redis_server.url, buy(1, 10))
    settle_all(worker, redis_server)
    assert web.server.identity() is not None
    web.lane.connect()
    yield web
    web.close()


def cancel_the_first_order(web: Web) -> None:
    send(web.redis.url, cancel(1))
    settle_all(web.worker, web.redis)


def is_sold(web: Web, key: int) -> bool:
    reader = RedisReader(server_at(web.redis.url))
    try:
        return reader.order(order_id(key)) is not None
    finally:
        reader.close()


def appends(redis: RedisServer) -> int:
    """Count the scripts that were run."""
    calls: int = redis.ask("INFO", "commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
    return calls


def test_a_frame_that_is_sent_again_when_it_was_just_answered_is_not_there_twice(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "SOCKET_SECONDS", PATIENCE_SECONDS)  # the lane shall not give up
    web.lane.close()
    web.lane.connect()
    web.cutter.hold(Moment.BEFORE, REPEATED)
    web.send(2)
    assert web.cutter.wait_struck().name == "EVALSHA"
    settle_all(web.worker, web.redis)
    cancel_the_first_order(web)
    web.cutter.release()
    [outcome] = web.settled()
    assert isinstance(outcome, SoldOut)
    assert not is_sold(web, 2)


def test_what_comes_late_from_a_connection_that_was_given_up_changes_nothing(web: Web) -> None:
    web.cutter.hold(Moment.BEFORE, FIRST)
    web.send(2)
    assert web.cutter.wait_struck().name == "EVALSHA"
    web.gives_up()
    web.send(2)
    [outcome] = web.settled()
    assert isinstance(outcome, SoldOut)
    cancel_the_first_order(web)
    before = appends(web.redis)
    web.cutter.release()
    wait_until(lambda: appends(web.redis) > before, PATIENCE_SECONDS, "the late frame")
    settle_all(web.worker, web.redis)
    assert not is_sold(web, 2)


def test_what_came_before_the_lane_connected_anew_is_settled_before_what_it_sends_again(
    web: Web,
) -> None:
    """So what the buyer hears is how it ended, here that the second one was sold."""
    web.cutter.hold(Moment.BEFORE, FIRST + 1)  # the reading: the frame is on the stream
    web.send(2)
    assert web.cutter.wait_struck().name == "XREAD"
    settle_all(web.worker, web.redis)
    web.gives_up()
    cancel_the_first_order(web)
    web.send(2)
    [outcome] = web.settled()
    assert isinstance(outcome, Sold)


def test_a_lane_that_redis_has_forgotten_sends_on(web: Web) -> None:
    """It was idle for long; or a failover lost what it had sent last."""
    for key in (2, 3):
        web.redis.ask("DEL", *web.redis.ask("KEYS", KEYS.lane("*")), "and none")
        web.send(key)
        [outcome] = web.settled()
        assert isinstance(outcome, SoldOut)


def test_what_redis_knows_of_a_lane_outlives_every_deadline_and_expires(web: Web) -> None:
    web.send(2)
    web.settled()
    known = web.redis.ask("KEYS", KEYS.lane("*"))
    assert known
    for key in known:
        assert 0 < web.redis.ask("PTTL", key) <= redis_stream.LANE_KEPT_MS
    with pytest.raises(BadSetting):
        read_settings({"SOLDOUT_DEADLINE_SECONDS": str(redis_stream.LANE_KEPT_MS / 2_000)})


def test_only_what_is_sold_is_written_down(web: Web) -> None:
    """Frames and answers are kept in memory: after a crash all who wait for them ask again."""
    cancel_the_first_order(web)
    written = web.redis.written()
    web.send(2)
    wait_until(lambda: web.redis.ask("XLEN", KEYS.commands), PATIENCE_SECONDS, "the frame")
    assert web.redis.written() == written
    [outcome] = web.settled()
    assert isinstance(outcome, Sold)
    sold = web.redis.written().removeprefix(written)
    assert KEYS.orders.encode() in sold
    assert not any(word in sold for word in (b"XADD", b"LPUSH", KEYS.lane("").encode()))
