"""Redis killed under load and started again: nothing confirmed is lost, none sold twice."""

from __future__ import annotations

import json
import random
import time
from statistics import median

import pytest

from tests.faults.crowd import Crowd, check_sold_exactly, crowding
from tests.faults.line import Fate
from tests.faults_redis.hosts import Host, Site
from tests.harness import SEED, note, wait_until

BACK_SECONDS = 2.0  # from the moment at which Redis answers again
PASSWORD = "hunter2"
ANSWER_SECONDS = 6.0  # for one that cannot be settled: a 202 after 5 s, or a 503 much sooner


def check_who_waited_was_told_when_to_come_again(crowd: Crowd) -> None:
    crowd.tell()
    assert set(crowd.fates()) == {Fate.ANSWERED}
    assert set(crowd.statuses()) <= {201, 202, 409, 503}
    unsettled = [attempt for attempt in crowd.attempts if attempt.status in (202, 503)]
    assert all(attempt.headers["retry-after"].isdecimal() for attempt in unsettled)
    assert crowd.longest_seconds() < ANSWER_SECONDS


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.long)])
def test_redis_may_be_killed_again_and_again(
    service: Host, module_site: Site, stadium: str, club: str, times: int
) -> None:
    """It is away for up to 1.5 s: shorter and longer than a buyer is asked to wait."""
    chance = random.Random(SEED)
    redis, waits = module_site.redis, []
    with crowding(service, stadium, club, warm=50) as crowd:
        for _ in range(times):
            time.sleep(chance.random() * 0.5)
            redis.kill()
            time.sleep(chance.random() * 1.5)
            redis.start()
            sold, back_at = crowd.sold(), time.monotonic()
            wait_until(
                lambda sold=sold: crowd.sold() > sold,  # type: ignore[misc]
                BACK_SECONDS * 5,  # of a moment in which this machine was busy
                "it sells again",
            )
            waits.append(time.monotonic() - back_at)
        crowd.stop()
    note(f"it sold again {max(waits):.3f} s after Redis' return at the latest")
    assert median(waits) < BACK_SECONDS
    check_who_waited_was_told_when_to_come_again(crowd)
    check_sold_exactly(service, crowd.wishes)
    assert "selling again" in service.log()


def test_who_asks_whether_it_can_sell_is_told_that_redis_is_gone(site: Site) -> None:
    """The password in the URL is not told."""
    url = f"redis://:{PASSWORD}@127.0.0.1:{site.redis.port}/0"
    host = site.host("serve", url, web_processes=1)  # it knows the ledger, and asks the workers
    site.redis.ask("CONFIG", "SET", "requirepass", PASSWORD)
    host.start().put_event("gala", capacity=1)
    assert host.buy("gala").status_code == 201
    site.redis.kill()
    wait_until(lambda: "Redis cannot be reached: " in host.why_not(), 10, host.why_not)
    assert PASSWORD not in host.why_not() + host.log()


def test_who_buys_is_not_told_where_redis_is_and_the_log_is(site: Site) -> None:
    """The web knows of no ledger yet, and asks for it at each purchase."""
    host = site.host("serve", web_processes=1).start()
    site.redis.kill()
    said = len(host.log())
    answers = [host.buy("gala") for _ in range(5)]
    for answer in answers:
        assert answer.status_code == 503
        assert answer.headers["Idempotency-Key"]
        assert "Redis" not in answer.text
        assert str(site.redis.port) not in answer.text
    at_a_purchase = "a purchase is turned away: Redis cannot be reached"
    assert host.said(at_a_purchase, said).log().count(at_a_purchase) < len(answers)


def test_the_log_says_on_both_sides_when_selling_goes_on(site: Site) -> None:
    """At `info`: it asks nobody to do anything."""
    host = site.host("serve", log="json", web_processes=1).start()
    host.put_event("gala", capacity=1)
    assert host.buy("gala").status_code == 201
    site.redis.kill()
    wait_until(host.why_not, 10, "it asks the workers, who cannot hear it")
    host.said("no purchase reaches the workers").said("not selling")
    site.redis.start()
    wait_until(host.ready, BACK_SECONDS * 5, host.log)
    again = {"purchases reach the workers again", "selling again"}
    for words in again:
        host.said(words)
    lines = [json.loads(line) for line in host.log().splitlines() if "again" in line]
    assert {line["level"] for line in lines if line["message"] in again} == {"info"}
