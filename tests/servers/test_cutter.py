"""The wire to a server is cut where a test says, and at no other command."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
import redis

from tests.harness import wait_until
from tests.servers.cutter import Cutter, Moment
from tests.servers.process import HOST, connect
from tests.servers.redis_server import RedisServer

LOST = (redis.ConnectionError, redis.TimeoutError)
IMPATIENT = {"socket_timeout": 0.2}
SERVER_DID_IT = {
    Moment.BEFORE: False,
    Moment.IN_REQUEST: False,
    Moment.AFTER: True,
    Moment.IN_REPLY: True,
}

each_moment = pytest.mark.parametrize("moment", Moment, ids=lambda moment: moment.name.lower())


def incr_in_one_go(client: redis.Redis, *keys: str, transaction: bool = True) -> None:
    pipeline = client.pipeline(transaction=transaction)
    for key in keys:
        pipeline.incr(key)
    pipeline.execute()


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def protocol(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def client(redis_server: RedisServer, cutter: Cutter, protocol: int) -> Iterator[redis.Redis]:
    """A client through the cutter, in both versions of the protocol."""
    with connect(cutter.through(redis_server.url), protocol=protocol) as client:
        yield client


@pytest.fixture
def direct(redis_server: RedisServer) -> redis.Redis:
    """A client beside it."""
    return redis_server.client()


# --- what is not cut ---


def test_all_comes_through_as_it_is(
    redis_server: RedisServer, client: redis.Redis, protocol: int
) -> None:
    direct = redis_server.client(protocol=protocol)
    client.hset("hash", mapping={"a": "1", "b": "2"})
    client.zadd("sorted", {"a": 1.5})
    client.xadd("stream", {"frame": "x" * 1_000_000})
    calls: list[Callable[[redis.Redis], Any]] = [
        lambda c: c.hgetall("hash"),
        lambda c: c.zrange("sorted", 0, -1, withscores=True),
        lambda c: c.xrange("stream"),
        lambda c: c.get("nothing"),
        lambda c: c.lrange("nothing", 0, -1),
        lambda c: c.client_id() > 0,
        lambda c: c.eval("return {1, 'a', {2, false}, redis.status_reply('x')}", 0),
    ]
    for call in calls:
        assert call(client) == call(direct)
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.get("hash")
    assert client.blpop(["list"], timeout=0.01) is None


def test_commands_are_counted_with_their_first_words(client: redis.Redis, cutter: Cutter) -> None:
    client.ping()
    cutter.watch()
    client.set("a", 1)
    incr_in_one_go(client, "a", "b")
    assert cutter.names == ["SET", "MULTI", "INCRBY", "INCRBY", "EXEC"]
    assert cutter.counted[0].words == ("SET", "a", "1")
    assert "PING" in [command.name for command in cutter.seen]
    assert cutter.struck is None


def test_how_a_driver_opens_a_connection_is_seen_and_not_counted(
    client: redis.Redis, cutter: Cutter
) -> None:
    client.ping()
    assert cutter.names == ["PING"]
    assert "CLIENT" in [command.name for command in cutter.seen]


# --- cutting ---


@each_moment
def test_the_nth_command_is_cut_and_no_other(
    client: redis.Redis, direct: redis.Redis, cutter: Cutter, moment: Moment
) -> None:
    cutter.cut(moment, 3)
    assert (client.incr("n"), client.incr("n")) == (1, 2)
    with pytest.raises(LOST):
        client.incr("n")
    assert cutter.wait_struck().words == ("INCRBY", "n", "1")
    assert direct.get("n") == ("3" if SERVER_DID_IT[moment] else "2")
    assert client.ping()


@each_moment
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_it_is_counted_over_all_connections(
    redis_server: RedisServer, direct: redis.Redis, cutter: Cutter, moment: Moment, reset: bool
) -> None:
    url = cutter.through(redis_server.url)
    with connect(url) as one, connect(url) as two:
        cutter.cut(moment, 4, reset=reset)
        assert [client.incr("n") for client in (one, two, one)] == [1, 2, 3]
        with pytest.raises(LOST):
            two.incr("n")
        assert one.incr("n") == 4 + SERVER_DID_IT[moment]
        assert cutter.struck is not None
        assert cutter.struck.connection == cutter.counted[1].connection


@each_moment
def test_a_pipeline_can_be_cut_at_every_command_in_turn(
    client: redis.Redis, direct: redis.Redis, cutter: Cutter, moment: Moment
) -> None:
    """All but the last leave nothing; the last is done or not, as with any other command."""
    for nth in count(1):
        direct.delete("a", "b")
        cutter.cut(moment, nth)
        with suppress(*LOST):
            incr_in_one_go(client, "a", "b")
        if cutter.struck is None:
            break
        done = cutter.struck.name == "EXEC" and SERVER_DID_IT[moment]
        assert direct.mget("a", "b") == (["1", "1"] if done else [None, None])
    assert cutter.names == ["MULTI", "INCRBY", "INCRBY", "EXEC"]
    assert nth == 5


@each_moment
def test_without_a_transaction_what_came_before_the_cut_is_done(
    client: redis.Redis, direct: redis.Redis, cutter: Cutter, moment: Moment
) -> None:
    cutter.cut(moment, 2)
    with pytest.raises(LOST):
        incr_in_one_go(client, "a", "b", "c", transaction=False)
    assert direct.mget("a", "b", "c") == ["1", "1" if SERVER_DID_IT[moment] else None, None]


SKIPPING = b"CLIENT REPLY SKIP\r\nINCR a\r\nINCR b\r\n"


def test_a_reply_that_is_skipped_is_not_waited_for(cutter: Cutter, direct: redis.Redis) -> None:
    with socket.create_connection((HOST, cutter.port), 5) as wire:
        for number in (b"1", b"2"):
            wire.sendall(SKIPPING)
            assert wire.recv(64) == b":" + number + b"\r\n"
    assert direct.mget("a", "b") == ["2", "2"]


@each_moment
def test_what_is_answered_by_nothing_can_be_cut_as_well(
    cutter: Cutter, direct: redis.Redis, moment: Moment
) -> None:
    cutter.cut(moment)
    with socket.create_connection((HOST, cutter.port), 5) as wire:
        wire.sendall(SKIPPING)
        assert wire.recv(64) == b""
    if SERVER_DID_IT[moment]:
        wait_until(lambda: direct.get("a") == "1", 5, "the server did it")
    assert direct.mget("a", "b") == ["1" if SERVER_DID_IT[moment] else None, None]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("moment", [Moment.IN_REQUEST, Moment.IN_REPLY])
def test_a_frame_is_cut_somewhere_and_never_whole(
    client: redis.Redis, direct: redis.Redis, cutter: Cutter, moment: Moment, share: float
) -> None:
    large = "x" * 1_000_000
    direct.set("b", large)
    cutter.cut(moment, share=share)
    with pytest.raises(LOST):
        client.set("a", large, get=True) if moment is Moment.IN_REQUEST else client.get("b")
    cutter.wait_struck()
    assert direct.get("a") is None


def test_from_the_cut_on_nobody_is_let_in(client: redis.Redis, cutter: Cutter) -> None:
    cutter.cut(Moment.AFTER, 2, refuse=True)
    client.ping()
    for _ in range(3):
        with pytest.raises(LOST):
            client.ping()
    cutter.accept()
    assert client.ping()


# --- holding ---


def test_a_command_that_is_held_comes_late_though_its_client_is_gone(
    redis_server: RedisServer, direct: redis.Redis, cutter: Cutter
) -> None:
    cutter.hold(Moment.BEFORE)
    with connect(cutter.through(redis_server.url), **IMPATIENT) as client, pytest.raises(LOST):
        client.append("a", "late")
    cutter.wait_struck()
    direct.append("a", "first ")
    cutter.release()
    wait_until(lambda: direct.get("a") == "first late", 10, "the command")


def test_a_reply_that_is_held_comes_when_it_is_released(
    client: redis.Redis, direct: redis.Redis, cutter: Cutter
) -> None:
    cutter.hold(Moment.AFTER, 2)
    client.ping()
    with ThreadPoolExecutor(1) as thread:
        reply = thread.submit(client.incr, "a")
        assert cutter.wait_struck().name == "INCRBY"
        assert direct.get("a") == "1"
        assert not reply.done()
        cutter.release()
        assert reply.result(10) == 1


def test_replies_are_held_and_commands_go_on(
    redis_server: RedisServer, direct: redis.Redis, cutter: Cutter
) -> None:
    cutter.hold_replies()
    with connect(cutter.through(redis_server.url), **IMPATIENT) as client:
        with pytest.raises(redis.TimeoutError):
            client.ping()
        cutter.pass_replies()
        assert client.ping()
        cutter.hold_replies()
        with pytest.raises(redis.TimeoutError):
            client.incr("a")
        assert direct.get("a") == "1"
        cutter.hold_replies(0.001)
        cutter.pass_replies()
        assert client.incr("a") == 2


def test_replies_are_held_for_a_time(client: redis.Redis, cutter: Cutter) -> None:
    cutter.hold_replies(0.05)
    assert client.ping()


# --- coming and going ---


def test_connections_are_refused_and_those_that_are_open_stay(
    redis_server: RedisServer, client: redis.Redis, cutter: Cutter
) -> None:
    client.ping()
    cutter.refuse()
    assert client.ping()
    with connect(cutter.through(redis_server.url)) as other:
        with pytest.raises(redis.ConnectionError, match="refused"):
            other.ping()
        cutter.accept()
        assert other.ping()
        assert cutter.connections == 2


def test_all_connections_are_cut_at_once(client: redis.Redis, cutter: Cutter) -> None:
    client.ping()
    cutter.cut_all()
    wait_until(lambda: cutter.connections == 0, 10, "all are cut")
    assert client.ping()


def test_a_server_that_dies_is_seen_through_it(fresh_redis: RedisServer) -> None:
    with Cutter(fresh_redis.port) as cutter, connect(cutter.through(fresh_redis.url)) as client:
        client.ping()
        fresh_redis.kill()
        with pytest.raises(LOST):
            client.ping()
        with pytest.raises(LOST):
            client.ping()
        fresh_redis.start()
        assert client.ping()


def test_it_ends_with_all_that_hangs_on_it(redis_server: RedisServer) -> None:
    before = threading.active_count()
    with Cutter(redis_server.port) as cutter, connect(cutter.through(redis_server.url)) as client:
        client.ping()
        cutter.hold(Moment.BEFORE)
        with ThreadPoolExecutor(1) as thread:
            lost = thread.submit(client.incr, "a")
            cutter.wait_struck()
            cutter.close()
            with pytest.raises(LOST):
                lost.result(10)
        assert cutter.names == ["INCRBY"]
    cutter.close()
    assert threading.active_count() == before


def test_many_may_use_it_at_once(redis_server: RedisServer, cutter: Cutter) -> None:
    url = cutter.through(redis_server.url)

    def use(_: int) -> None:
        with connect(url) as client:
            for _ in range(50):
                client.incr("n")
                assert cutter.connections

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(use, range(4)))
    assert len(cutter.counted) == 200
    assert redis_server.client().get("n") == "200"
