"""Redis stands still for longer than anybody waits: nobody is told what is not so."""

from __future__ import annotations

import time

import pytest

from tests.faults.crowd import Crowd, check_sold_exactly, crowding, until
from tests.faults_redis.hosts import Host, Site
from tests.faults_redis.test_redis_killed import check_who_waited_was_told_when_to_come_again
from tests.servers.redis_server import RedisServer

STILL_SECONDS = 4.0  # longer than a lock lives, a turn is valid, and anybody waits for a reply


def pause_clients(redis: RedisServer) -> None:
    redis.pause_clients(round(STILL_SECONDS * 1000))
    time.sleep(STILL_SECONDS)


def stop_the_process(redis: RedisServer) -> None:
    redis.pause()
    time.sleep(STILL_SECONDS)
    redis.go_on()


def check_nobody_was_told_that_it_is_sold_out(crowd: Crowd, event: str) -> None:
    wishes = [wish for wish in crowd.wishes if wish.event == event]
    assert {a.status for wish in wishes for a in wish.attempts} <= {201, 202, 503}


@pytest.mark.long
@pytest.mark.parametrize("stand_still", [pause_clients, stop_the_process])
def test_redis_may_stand_still(
    service: Host, module_site: Site, stadium: str, club: str, stand_still: object
) -> None:
    assert callable(stand_still)
    said = len(service.log())
    with crowding(service, stadium, club, warm=50) as crowd:
        stand_still(module_site.redis)
        assert "not selling" in service.log()[said:]
        sold = crowd.sold()
        until(lambda: crowd.sold() > sold + 200, "it goes on")
        crowd.stop()
    assert crowd.statuses()[503] > 50, "buyers were told to come again"
    check_who_waited_was_told_when_to_come_again(crowd)
    check_nobody_was_told_that_it_is_sold_out(crowd, stadium)
    check_sold_exactly(service, crowd.wishes)
