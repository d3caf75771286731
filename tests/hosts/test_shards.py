"""Four shards are one service: events are spread over them, keys and orders belong to all."""

from __future__ import annotations

import csv
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from uuid import UUID

import pytest
import requests

from tests.faults.crowd import Wish, check_sold_exactly
from tests.faults.line import Attempt, Line
from tests.harness import SEED, START_SECONDS, wait_until
from tests.hosts.hosts import Host, StartHost, events_of_all, hosts_in, rush, started
from tests.servers.redis_server import RedisServer

SHARDS = 4
TRIES = 150  # of a key at two shards at the same moment
EVENTS = events_of_all(SHARDS, 3)  # for each shard: one to list, one to race for, one to rush


class Service(NamedTuple):
    """Two hosts on one Redis, and what makes more."""

    serve: Host
    web: Host
    redis: RedisServer
    host: StartHost


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with (
        RedisServer() as redis,
        hosts_in(tmp_path_factory.mktemp("shards"), redis.url) as host,
    ):
        serve = host("serve", shards=SHARDS, workers=SHARDS, web_processes=1)
        web = host("web", web_processes=1)
        started(serve, web)
        yield Service(serve, web, redis, host)


@pytest.fixture(scope="module")
def listed(service: Service) -> list[str]:
    """An event of each shard, with 10 tickets, made in this order."""
    names = [names[0] for names in reversed(EVENTS)]
    for name in names:
        service.web.put_event(name, capacity=10)
    return names


@pytest.fixture(scope="module")
def raced(service: Service) -> list[str]:
    """An event of each shard, with tickets for everybody."""
    names = [names[1] for names in EVENTS]
    for name in names:
        service.serve.put_event(name, capacity=100_000)
    return names


# --- events ---------------------------------------------------------------------------------------


def test_events_are_spread_over_the_shards_and_listed_in_the_order_they_were_made(
    service: Service, listed: list[str]
) -> None:
    redis = service.redis.client()
    for shard, name in enumerate(reversed(listed), 1):
        assert redis.hexists(f"soldout:{{s{shard:02}}}:events", name)
    for host in (service.serve, service.web):
        told = [event["event"] for event in host.admin("GET", "/remaining").json()["events"]]
        assert [name for name in told if name in listed] == listed
        told = [event["id"] for event in host.admin("GET", "/events").json()["events"]]
        assert [name for name in told if name in listed] == listed


def test_a_crowd_at_all_shards_buys_every_ticket_once(service: Service) -> None:
    names = [names[2] for names in EVENTS]
    for name in names:
        service.web.put_event(name, capacity=100)
    webs = (service.serve, service.web)
    wishes = rush(webs, names, 800, random.Random(SEED))
    assert Counter(wish.event for wish in wishes if wish.orders) == dict.fromkeys(names, 100)
    for web in webs:
        check_sold_exactly(web, wishes)


# --- keys -----------------------------------------------------------------------------------------


def test_a_key_used_in_one_shard_is_refused_in_every_other(
    service: Service, raced: list[str]
) -> None:
    for number, first in enumerate(raced):
        key = f"used-in-one-shard-{number}"
        order = service.serve.buy(first, 1, key)
        assert order.status_code == 201
        for other in raced:
            again = service.web.buy(other, 1, key)
            if other == first:
                assert (again.status_code, again.json()) == (201, order.json())
            else:
                assert refuses_key(again.status_code, again.json()), again.text


def test_a_key_that_arrives_at_two_shards_at_the_same_moment_is_sold_in_one(
    service: Service, raced: list[str]
) -> None:
    chance = random.Random(f"{SEED}/race")  # keys of its own: the rush drew from the bare seed
    together = threading.Barrier(2)
    before = sum(service.web.audit(name)["orders"] for name in raced)

    def ask(line: Line, request: bytes) -> Attempt:
        together.wait()
        return line.ask(request)

    sold_in: Counter[str] = Counter()
    with (
        ThreadPoolExecutor(2) as pool,
        Line(service.serve.port) as here,
        Line(service.web.port) as there,
    ):
        for _ in range(TRIES):
            key = str(UUID(int=chance.getrandbits(128)))
            pair = [Wish(key, event, 1) for event in chance.sample(raced, 2)]
            asked = [
                pool.submit(ask, line, wish.request())
                for line, wish in zip((here, there), pair, strict=True)
            ]
            for wish, answer in zip(pair, asked, strict=True):
                wish.attempts.append(answer.result())
            assert any(w.orders for w in pair), [
                (w.event, w.attempts[0].status, w.attempts[0].body) for w in pair
            ]
            [sold] = [wish for wish in pair if wish.orders]
            [refused] = [wish.attempts[0] for wish in pair if not wish.orders]
            assert refuses_key(refused.status, refused.said), refused
            assert here.ask(sold.request()).said == there.ask(sold.request()).said == sold.orders[0]
            sold_in[sold.event] += 1
    assert set(sold_in) == set(raced)
    assert sum(service.web.audit(name)["orders"] for name in raced) == before + TRIES


def refuses_key(status: int, said: dict[str, object]) -> bool:
    return (status, said["type"]) == (422, "/problems/key-reused")


# --- orders ---------------------------------------------------------------------------------------


def test_orders_are_found_listed_and_cancelled_wherever_they_are(
    service: Service, listed: list[str]
) -> None:
    """Enough of them that every shard's orders are at home in every shard."""
    here, there = service.serve, service.web
    for name in listed:
        bought = [here.buy(name, 1, f"{name}-number-{n:04}").json() for n in range(8)]
        for n, order in enumerate(bought):
            assert there.admin("GET", f"/orders/{order['id']}").json() == order
            assert there.admin("GET", f"/orders?key={name}-number-{n:04}").json() == order
        assert pages(there, name, 3) == bought
        table = there.admin("GET", f"/events/{name}/orders?format=csv")
        assert table.json()["orders"] == bought
        rows = list(csv.DictReader(csv_of(there, name).splitlines()))
        assert [row["id"] for row in rows] == [order["id"] for order in bought]
        for order in bought[::2]:
            cancelled = there.admin("POST", f"/orders/{order['id']}/cancel")
            assert cancelled.json() == order | {"status": "cancelled"}
            assert here.admin("GET", f"/orders/{order['id']}").json() == cancelled.json()
        found = there.audit(name)
        assert (found["orders"], found["cancelled_orders"], found["remaining"]) == (4, 4, 6)
    nobody = "/orders/0198b1a8-0000-7000-8000-00000000000"
    for home in range(SHARDS):
        assert there.admin("GET", f"{nobody}{home}").status_code == 404
        assert there.admin("POST", f"{nobody}{home}/cancel").status_code == 404


def pages(host: Host, event: str, limit: int) -> list[object]:
    found: list[object] = []
    path: str | None = f"/events/{event}/orders?limit={limit}"
    while path:
        answer = host.admin("GET", path)
        found += answer.json()["orders"]
        path = answer.links.get("next", {}).get("url")
    return found


def csv_of(host: Host, event: str) -> str:
    headers = {"Authorization": f"Bearer {host.admin_key}", "Accept": "text/csv"}
    answer = requests.get(f"{host.url}/events/{event}/orders", headers=headers, timeout=30)
    assert answer.headers["Content-Type"].startswith("text/csv")
    return answer.text


# --- readiness ------------------------------------------------------------------------------------


def test_a_service_is_ready_only_if_a_worker_of_every_shard_answers(service: Service) -> None:
    for worker in (1, SHARDS):
        assert service.web.ready()
        os.kill(service.serve.hearts().pulse(worker).pid, signal.SIGSTOP)
        wait_until(lambda: not service.web.ready(), START_SECONDS, "a shard without a worker")
        wait_until(service.web.ready, START_SECONDS, "its pool has put another in its place")


# --- what is refused ------------------------------------------------------------------------------


def test_another_number_of_shards_is_refused_in_one_line(
    service: Service, listed: list[str]
) -> None:
    for command in ("serve", "web", "workers"):
        other = service.host(command, shards=2).launch()
        assert other.refuses() == "soldout: SOLDOUT_SHARDS=2: the ledger in Redis has 4\n"


def test_a_pool_with_fewer_workers_than_shards_is_refused_in_one_line(
    service: Service, listed: list[str]
) -> None:
    small = service.host("workers", workers=SHARDS - 1).launch()
    assert small.refuses().splitlines()[-1] == (
        "soldout: SOLDOUT_WORKERS=3: fewer than the ledger has shards, 4;"
        " each needs a worker in every pool"
    )


# --- Redis restarts -------------------------------------------------------------------------------


def test_every_shard_sells_again_when_redis_is_back(service: Service, raced: list[str]) -> None:
    """A restarted Redis knows no script, whichever connection of a worker comes to it first."""
    for name in raced:  # whatever connects, also where keys are claimed, has told its scripts
        assert all(service.web.buy(name).status_code == 201 for _ in range(8))
    service.redis.restart()
    for name in raced:
        wait_until(lambda: service.web.buy(name).status_code == 201, 10, service.serve.log)  # noqa: B023
        assert all(service.web.buy(name).status_code == 201 for _ in range(8))
