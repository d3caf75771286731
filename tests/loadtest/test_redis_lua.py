"""The rival without workers is right, or beating it would say nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
import requests
from redis import RedisError, ResponseError

from loadtest.peers.redis_lines import LINES, Pipeline
from loadtest.servers import Server, Store, peer, redis
from tests.loadtest.test_rush import USERS, rush, verdicts

KEY = "a-purchase-of-mine"


@pytest.fixture(params=["--line=pool", "--line=pool --lean", "--line=pipeline --lean"])
def kind(request: pytest.FixtureRequest) -> list[str]:
    """Each kind of it that the benchmark knows."""
    return str(request.param).split()


@pytest.fixture
def store() -> Iterator[Store]:
    """An empty Redis."""
    with redis() as started:
        yield started


@pytest.fixture
def server(store: Store, kind: list[str]) -> Iterator[Server]:
    """The rival, with five tickets."""
    with peer("redis_lua", "--redis-url", store.url, "--capacity=5", *kind) as started:
        yield started


def buy(server: Server, key: str | None = None, **body: object) -> requests.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return requests.post(
        f"{server.url}/buy", json={"event": "gala"} | body, headers=headers, timeout=20
    )


def numbers(answer: requests.Response) -> list[int]:
    return [ticket["number"] for ticket in answer.json()["tickets"]]


def counts(server: Server) -> dict[str, Any]:
    (event,) = requests.get(f"{server.url}/remaining", timeout=20).json()["events"]
    return {name: event[name] for name in ("capacity", "sold", "remaining")}


def test_in_a_rush_it_is_green_as_far_as_it_is_asked(store: Store, kind: list[str]) -> None:
    with peer("redis_lua", "--redis-url", store.url, "--capacity=30", *kind) as server:
        played = rush(server.url)
    assert played.returncode == 0, played.stdout + played.stderr
    assert set(verdicts(played).values()) == {"ok", "not asked"}
    assert f"{USERS} total users" in played.stderr


def test_it_sells_every_ticket_once_and_then_says_what_remains(server: Server) -> None:
    assert numbers(buy(server, quantity=2)) == [1, 2]
    assert numbers(buy(server, quantity=2)) == [3, 4]
    refused = buy(server, quantity=2)
    assert (refused.status_code, refused.json()["remaining"]) == (409, 1)
    assert refused.json()["type"] == "/problems/sold-out"
    assert numbers(buy(server, quantity=1)) == [5]
    assert counts(server) == {"capacity": 5, "sold": 5, "remaining": 0}


def test_the_same_key_gives_the_same_order_and_no_other(server: Server) -> None:
    first = buy(server, KEY, quantity=1, buyer="ann@example.com")
    again = buy(server, f'"{KEY}"', quantity=1, buyer="ann@example.com")
    assert (again.status_code, again.json()) == (201, first.json())
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    other = buy(server, KEY, quantity=2, buyer="ann@example.com")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/key-reused")
    assert counts(server)["sold"] == 1


def test_what_breaks_a_rule_is_refused_and_sells_nothing(server: Server) -> None:
    faulty: list[tuple[int, str | None, dict[str, Any]]] = [
        (422, None, {"quantity": 0}),
        (422, None, {}),
        (422, None, {"quantity": 1, "seat": "A1"}),
        (404, None, {"quantity": 1, "event": "another"}),
        (400, "too-short", {"quantity": 1}),
        (400, f'"{KEY}', {"quantity": 1}),
    ]
    for status, key, body in faulty:
        refused = buy(server, key, **body)
        assert refused.status_code == status, body
        assert refused.headers["Content-Type"] == "application/problem+json"
    assert counts(server)["sold"] == 0


def test_without_its_store_it_confirms_nothing_and_keeps_the_key(
    server: Server, store: Store
) -> None:
    assert buy(server, quantity=1).status_code == 201
    os.kill(store.pid, signal.SIGKILL)
    for _ in range(2):  # over a connection that broke, and one that cannot be made
        unknown = buy(server, KEY, quantity=1)
        assert (unknown.status_code, unknown.json()["type"]) == (503, "/problems/unavailable")
        assert unknown.headers["Idempotency-Key"] == f'"{KEY}"'
        assert unknown.headers["Retry-After"] == "1"


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
