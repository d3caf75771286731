"""The rival without workers holds out in a rush, and over both of its lines to Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from redis import RedisError, ResponseError

from loadtest.peers.redis_lines import LINES, Pipeline
from loadtest.servers import Store, peer, redis
from tests.loadtest.test_rush import USERS, rush, verdicts


@pytest.fixture(params=["--line=pool", "--line=pipeline --lean"])
def kind(request: pytest.FixtureRequest) -> list[str]:
    """Each line to Redis that the benchmark knows."""
    return str(request.param).split()


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty Redis."""
    with redis() as started:
        yield started


def test_in_a_rush_it_is_green_as_far_as_it_is_asked(store: Store, kind: list[str]) -> None:
    with peer("redis_lua", "--store-url", store.url, "--capacity=30", *kind) as server:
        played = rush(server.url)
    assert played.returncode == 0, played.stdout + played.stderr
    assert set(verdicts(played).values()) == {"ok", "not asked"}
    assert f"{USERS} total users" in played.stderr


def test_in_a_pipeline_each_answer_finds_its_asker_and_an_error_is_nobody_elses(
    store: Store,
) -> None:
    ask = Pipeline(store.url)
    good = [gevent.spawn(ask, "ECHO", f"{n}") for n in range(10)]
    bad = gevent.spawn(ask, "NONSENSE")
    good += [gevent.spawn(ask, "ECHO", f"{n}") for n in range(10, 20)]
    assert [greenlet.get(timeout=10) for greenlet in good] == [b"%d" % n for n in range(20)]
    with pytest.raises(ResponseError):
        bad.get(timeout=10)


@pytest.mark.parametrize("way", LINES.values())
def test_a_line_that_broke_is_made_again_and_sends_nothing_twice(way: Any, store: Store) -> None:
    ask = way(store.url)
    assert ask("INCR", "sent") == 1
    ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
    with pytest.raises(RedisError):
        ask("INCR", "sent")
    assert ask("GET", "sent") == b"1"
