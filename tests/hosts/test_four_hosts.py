"""Two web hosts and two worker hosts, which share nothing but a Redis, are one service."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import pytest
import requests

from tests.faults.crowd import check_sold_exactly
from tests.harness import SEED, wait_until
from tests.hosts.hosts import Host, hosts_in, rush, started, told_workers
from tests.servers.redis_server import RedisServer

TICKETS, PURCHASES = 500, 2_000
AGE_SECONDS = 0.250  # the oldest that /remaining may be


class Service(NamedTuple):
    """The four hosts."""

    webs: tuple[Host, Host]
    pools: tuple[Host, Host]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with (
        RedisServer() as redis,
        hosts_in(tmp_path_factory.mktemp("four"), redis.url) as host,
    ):
        webs = host("web"), host("web")
        pools = host("workers"), host("workers")
        started(*pools, *webs)
        yield Service(webs, pools)


def test_2000_purchases_on_two_hosts_buy_500_tickets_exactly(service: Service) -> None:
    here, there = service.webs
    here.put_event("rush", capacity=TICKETS)
    wishes = rush(service.webs, ["rush"], PURCHASES, random.Random(SEED))
    assert sum(bool(wish.orders) for wish in wishes) == TICKETS
    numbers = [wish.orders[0]["tickets"][0]["number"] for wish in wishes if wish.orders]
    assert sorted(numbers) == list(range(1, TICKETS + 1))
    for web in (here, there):
        check_sold_exactly(web, wishes)
    assert here.audit("rush") == there.audit("rush")
    wait_until(
        lambda: all(busy(there, pool) for pool in service.pools), 5, "both pools say they worked"
    )


def busy(web: Host, pool: Host) -> bool:
    return any(w["purchases"] for w in told_workers(web) if w["pid"] in pool.workers())


def test_every_web_host_lists_the_workers_of_every_host(service: Service) -> None:
    pids = sorted(pid for pool in service.pools for pid in pool.workers())
    assert len(pids) == 4
    for web in service.webs:
        wait_until(
            lambda web=web: sorted(w["pid"] for w in told_workers(web)) == pids,  # type: ignore[misc]
            5,
            lambda web=web: f"{told_workers(web)}, not {pids}",  # type: ignore[misc]
        )


def test_an_order_bought_here_is_read_there_and_replayed_there_by_its_key(
    service: Service,
) -> None:
    here, there = service.webs
    here.put_event("gala", capacity=5)
    key = "bought-on-the-first-host"
    bought = here.buy("gala", 2, key)
    assert bought.status_code == 201
    read = there.admin("GET", bought.headers["Location"])
    assert (read.status_code, read.json()) == (200, bought.json())
    found = there.admin("GET", f"/orders?key={key}")
    assert (found.status_code, found.json()) == (200, bought.json())
    again = there.buy("gala", 2, key)
    assert (again.status_code, again.content) == (201, bought.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = there.buy("gala", 1, key)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/key-reused")
    cancelled = there.admin("POST", f"{bought.headers['Location']}/cancel")
    assert cancelled.status_code == 200
    assert here.admin("GET", bought.headers["Location"]).json()["status"] == "cancelled"


@pytest.mark.parametrize("way", ["", "/events/told/orders", "/events/told/audit"])
def test_a_host_shows_nothing_older_than_it_has_told(service: Service, way: str) -> None:
    """Of a sale on another host it knows nothing, until somebody looks at that here."""
    here, there = service.webs
    here.put_event("told", capacity=1_000)
    remaining = f"{there.url}/remaining/told"
    with requests.Session() as looker:  # one connection leads to one web process
        looker.headers["Authorization"] = f"Bearer {there.admin_key}"
        for _ in range(20):
            before = looker.get(remaining, timeout=30).json()["sold"]
            order = here.buy("told").headers["Location"]
            assert looker.get(there.url + (way or order), timeout=30).status_code == 200
            assert looker.get(remaining, timeout=30).json()["sold"] == before + 1


def test_each_hosts_remaining_is_as_fresh_as_promised(service: Service) -> None:
    """What is told is not older than it may be when it was asked for, and was true then."""
    here = service.webs[0]
    here.put_event("fresh", capacity=1_000)
    for sold in range(1, 30):
        assert here.buy("fresh").status_code == 201
        bought_at, shown = time.time(), 0
        while shown < sold:
            for web in service.webs:
                asked_at = time.time()
                told = web.admin("GET", "/remaining/fresh").json()
                as_of = datetime.fromisoformat(told["as_of"]).timestamp()
                assert as_of >= asked_at - AGE_SECONDS - 0.001  # it has milliseconds only
                shown = told["sold"]
                assert shown == sold or as_of <= bought_at, told
