"""The stream of stock on many hosts: the same numbers and ids on each, and never old ones."""

from __future__ import annotations

from tests.harness import wait_until
from tests.hosts.hosts import Host, StartHost, events_of_all, started
from tests.onlooker import looking, wait_a_round
from tests.servers.redis_server import RedisServer

SHARDS = 2


def streams(web: Host) -> bool:
    with looking(web.port) as onlooker:
        return onlooker.status == 200 and onlooker.block() != b"" and onlooker.block() != b""


def test_a_sale_on_one_host_is_told_on_the_other_and_an_id_counts_on_both(
    host: StartHost,
) -> None:
    here, there, pool = (
        host("web", web_processes=1, shards=SHARDS),
        host("web", web_processes=1, shards=SHARDS),
        host("workers", workers=SHARDS, shards=SHARDS),
    )
    started(here, there, pool)
    [first], [second] = events_of_all(SHARDS)
    with looking(here.port) as onlooker:  # there is no ledger yet
        for event in (first, second):
            here.put_event(event, capacity=10)
            onlooker.until(event, remaining=10)
        assert there.buy(first, 2).status_code == 201
        onlooker.until(first, remaining=8)
    with looking(there.port, last_event_id=onlooker.last_id) as again:
        wait_a_round(there.port)
        assert here.buy(second).status_code == 201
        told = again.told().entry
        assert (told["event"], told["remaining"]) == (second, 9)  # and not first what it knew


def test_a_price_that_is_changed_on_one_host_is_told_on_the_other(host: StartHost) -> None:
    here, there, pool = (
        host("web", web_processes=1),
        host("web", web_processes=1),
        host("workers"),
    )
    started(here, there, pool)
    price = {"amount": 2500, "currency": "EUR"}
    kind = {"id": "general", "capacity": 10, "price": price}
    put = here.put_event("gala", ticket_types=[kind])
    with looking(there.port, "?event=gala") as onlooker:
        assert onlooker.told().entry["terms"] == put["terms"]
        dearer = here.put_event("gala", ticket_types=[{**kind, "price": {**price, "amount": 5000}}])
        told = onlooker.told().entry["terms"]
        assert told == dearer["terms"] != put["terms"]
    wait_until(
        lambda: f'data-terms="{told}"' in there.admin("GET", "/").text, 5, "its page says so, too"
    )


def test_without_redis_streams_end_since_their_numbers_stand_still(
    host: StartHost, fresh_redis: RedisServer
) -> None:
    service = host("serve", fresh_redis.url, web_processes=1).start()
    service.put_event("gala", capacity=10)
    with looking(service.port) as onlooker:
        onlooker.until("gala", remaining=10)
        fresh_redis.kill()
        onlooker.until_ended()
    fresh_redis.start()
    wait_until(lambda: streams(service), 15, "it streams again")
