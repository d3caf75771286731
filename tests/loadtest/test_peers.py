"""Every rival that is measured is right, or beating it would say nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import requests

from loadtest.rivals import RIVALS
from loadtest.servers import Server
from tests.harness import children_of

LIGHT = ["redis_lua", "redis_lua_lean", "redis_lua_pipelined", "redis_lock", "sqlite"]
HEAVY = ["postgres", "celery", "rq"]  # need more than developers have installed
TICKETS = 15
ON_SALE = {"few": 5, "crowd": TICKETS, "keys": 5, "rules": 5}
KEY = "a-purchase-of-mine"


@pytest.fixture(
    scope="module", params=[*LIGHT, *(pytest.param(name, marks=pytest.mark.long) for name in HEAVY)]
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A rival as it is measured; each test has an event of its own."""
    with RIVALS[request.param].serve(ON_SALE) as started:
        yield started


def buy(server: Server, event: str, key: str | None = None, **body: object) -> requests.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return requests.post(
        f"{server.url}/buy", json={"event": event} | body, headers=headers, timeout=40
    )


def numbers(answer: requests.Response) -> list[int]:
    return [ticket["number"] for ticket in answer.json()["tickets"]]


def counts(server: Server, event: str) -> dict[str, Any]:
    events = requests.get(f"{server.url}/remaining", timeout=20).json()["events"]
    (found,) = [each for each in events if each["event"] == event]
    return {name: found[name] for name in ("capacity", "sold", "remaining")}


def test_it_sells_every_ticket_once_and_then_says_what_remains(server: Server) -> None:
    assert numbers(buy(server, "few", quantity=2)) == [1, 2]
    assert numbers(buy(server, "few", quantity=2)) == [3, 4]
    refused = buy(server, "few", quantity=2)
    assert (refused.status_code, refused.json()["remaining"]) == (409, 1)
    assert refused.json()["type"] == "/problems/sold-out"
    assert numbers(buy(server, "few", quantity=1)) == [5]
    assert counts(server, "few") == {"capacity": 5, "sold": 5, "remaining": 0}


def test_a_crowd_that_asks_twice_gets_each_ticket_once(server: Server) -> None:
    keys = [f"a-purchase-in-a-crowd-{number % (TICKETS + 5)}" for number in range(2 * TICKETS + 10)]
    with ThreadPoolExecutor(len(keys)) as crowd:
        answers = list(crowd.map(lambda key: buy(server, "crowd", key, quantity=1), keys))
    assert {answer.status_code for answer in answers} == {201, 409}
    sold = {
        key: numbers(answer)
        for key, answer in zip(keys, answers, strict=True)
        if answer.status_code == 201
    }
    assert sorted(n for its in sold.values() for n in its) == list(range(1, TICKETS + 1))
    assert counts(server, "crowd")["sold"] == TICKETS
    for key, answer in zip(keys, answers, strict=True):
        assert answer.status_code == 409 or numbers(answer) == sold[key]


def test_the_same_key_gives_the_same_order_and_no_other(server: Server) -> None:
    first = buy(server, "keys", KEY, quantity=1, buyer="ann@example.com")
    again = buy(server, "keys", f'"{KEY}"', quantity=1, buyer="ann@example.com")
    assert (again.status_code, again.json()) == (201, first.json())
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    other = buy(server, "keys", KEY, quantity=2, buyer="ann@example.com")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/key-reused")
    assert counts(server, "keys")["sold"] == 1


def test_what_breaks_a_rule_is_refused_and_sells_nothing(server: Server) -> None:
    faulty: list[tuple[int, str | None, str, dict[str, Any]]] = [
        (422, None, "rules", {"quantity": 0}),
        (422, None, "rules", {}),
        (422, None, "rules", {"quantity": 1, "seat": "A1"}),
        (404, None, "another", {"quantity": 1}),
        (400, "too-short", "rules", {"quantity": 1}),
        (400, f'"{KEY}', "rules", {"quantity": 1}),
    ]
    for status, key, event, body in faulty:
        refused = buy(server, event, key, **body)
        assert refused.status_code == status, body
        assert refused.headers["Content-Type"] == "application/problem+json"
    assert counts(server, "rules")["sold"] == 0


@pytest.mark.parametrize(
    "name",
    [
        *("redis_lua", "redis_lua_pipelined", "redis_lock"),
        *(pytest.param(name, marks=pytest.mark.long) for name in HEAVY),
    ],
)
def test_without_its_store_it_confirms_nothing_and_keeps_the_key(name: str) -> None:
    with RIVALS[name].serve(ON_SALE) as server:
        assert buy(server, "few", quantity=1).status_code == 201
        store = server.store_pids[0]
        # PostgreSQL's own would answer once more before they see that they are alone.
        for pid in (*children_of(store), store):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for _ in range(2):  # over a connection that broke, and one that cannot be made
            unknown = buy(server, "few", KEY, quantity=1)
            assert (unknown.status_code, unknown.json()["type"]) == (503, "/problems/unavailable")
            assert unknown.headers["Idempotency-Key"] == f'"{KEY}"'
            assert unknown.headers["Retry-After"] == "1"
