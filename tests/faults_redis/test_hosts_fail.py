"""Hosts that fail or are stopped, a full Redis, wires that are cut: one order for each key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from tests.faults.crowd import check_sold_exactly, crowding, until
from tests.faults_redis.hosts import Host, Site
from tests.harness import wait_until
from tests.servers.cutter import Cutter, Moment

KEY = "one-key-for-every-attempt"
PATIENCE_SECONDS = 15.0


def test_when_a_web_host_fails_another_one_gives_the_same_order(site: Site) -> None:
    workers = site.host("workers").start()
    webs = [site.host("web").start() for _ in range(2)]
    webs[0].put_event("gala", capacity=1_000_000)
    with crowding(webs[0], "gala") as crowd:
        until(lambda: crowd.sold() > 20, "it sells")
        webs[0].fail()
        crowd.abandon()
    for wish in crowd.wishes:
        first = list(wish.orders[:1])
        answer = webs[1].buy(wish.event, wish.quantity, wish.key)
        assert answer.status_code in (201, 409)
        if first:
            assert answer.json() == first[0]
    assert webs[1].audit("gala")["remaining"] >= 0
    assert workers.terminate() == 0


@pytest.mark.parametrize("command", ["serve", "workers", "web"])
def test_who_is_told_to_stop_loses_nothing_and_gives_the_lock_back(
    site: Site, command: str
) -> None:
    hosts = {
        name: site.host(name).start()
        for name in (["serve"] if command == "serve" else ["workers", "web"])
    }
    front = hosts.get("web") or hosts["serve"]
    front.put_event("stadium", capacity=1_000_000)
    with crowding(front, "stadium") as crowd:
        until(lambda: crowd.sold() > 100, "it sells")
        assert hosts[command].terminate() == 0
        hosts[command].start()
        until(lambda: crowd.sold() > 100, "it sells again")
        crowd.stop()
    assert not site.redis.ask("EXISTS", "soldout:{s01}:lock")
    check_sold_exactly(front, crowd.wishes)


def test_a_full_redis_confirms_nothing_and_sells_again_when_there_is_room(site: Site) -> None:
    host, redis = site.host("serve").start(), site.redis
    host.put_event("gala", capacity=1_000)
    assert host.buy("gala").status_code == 201
    redis.ask("CONFIG SET", "maxmemory", 1_000_000)
    full = [host.buy("gala", key=f"{KEY}-{number}") for number in range(3)]
    assert {answer.status_code for answer in full} <= {202, 503}
    redis.ask("CONFIG SET", "maxmemory", 0)
    wait_until(host.ready, PATIENCE_SECONDS, host.log)
    assert len({str(bought(host, f"{KEY}-{number}")["id"]) for number in range(3)}) == 3
    assert host.audit("gala")["sold"] == 4


@pytest.mark.long
@pytest.mark.parametrize("moment", list(Moment))
def test_a_purchase_is_one_order_wherever_the_webs_wire_is_cut(site: Site, moment: Moment) -> None:
    """At every command that a web process sends, in turn; the buyer asks again under the key."""
    site.host("workers").start()
    with Cutter(site.redis.port) as cutter:
        url = cutter.through(site.redis.url)
        web = site.host("web", url, web_processes=1).start()
        web.put_event("gala", capacity=1_000)
        sold = 0
        for nth in count(1):
            cutter.cut(moment, nth)
            with ThreadPoolExecutor(4) as buyers:
                buy = lambda n, nth=nth: bought(web, f"{KEY}-{nth}-{n}")  # noqa: E731
                orders = list(buyers.map(buy, range(4)))
            sold += len({order["id"] for order in orders})
            struck = cutter.struck
            cutter.watch()
            if struck is None or nth == 12:
                break
        assert nth > 1
        assert web.audit("gala")["sold"] == sold == 4 * nth


def bought(web: Host, key: str) -> dict[str, object]:
    """Ask under one key until it is sold, and then once more: it must be the same order."""
    answers = [web.buy("gala", key=key)]
    wait_until(
        lambda: answers.append(web.buy("gala", key=key)) or answers[-1].status_code == 201,  # type: ignore[func-returns-value]
        PATIENCE_SECONDS,
        lambda: answers[-1].text,
    )
    sold = [answer.json() for answer in answers if answer.status_code == 201]
    assert all(order == sold[0] for order in sold)
    found: dict[str, object] = sold[0]
    return found
