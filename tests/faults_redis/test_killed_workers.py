"""Workers killed without warning, wherever they are: buyers meet a delay, and nothing else."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter

import pytest

from tests.faults.conftest import put
from tests.faults.crowd import PLENTY, check_sold_exactly, crowding, until
from tests.faults.stopping import proceed, stopped_in
from tests.faults.test_killed_workers import check_nobody_met_more_than_a_delay
from tests.faults_redis.hosts import Host, Site
from tests.harness import SEED, alive, note, wait_until
from tests.servers.redis_server import RedisServer
from workers.hearts import Phase
from workers.shards.keys import Keys

KILL_EVERY_SECONDS = 0.3
FEW = 50  # tickets: sold out within seconds, on a slow machine too
FREE_SECONDS = 10.0  # much less than the lock would be held for


def kill_workers(host: Host, seconds: float) -> Counter[str]:
    """Kill one worker after the other; return how often each phase was hit."""
    chance = random.Random(SEED)
    hearts = host.hearts()
    hit: Counter[str] = Counter()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(KILL_EVERY_SECONDS)
        workers = host.family()["worker"]
        if workers:
            victim = chance.choice(workers)
            os.kill(victim, signal.SIGKILL)
            hit.update(p.phase.name.lower() for p in hearts.pulses() if p.pid == victim)
    return hit


@pytest.mark.parametrize("seconds", [3, pytest.param(20, marks=pytest.mark.long)])
def test_buyers_meet_only_a_delay_while_a_worker_is_killed_every_300_ms(
    service: Host, stadium: str, seconds: float
) -> None:
    club = put(service, "club", FEW)
    with crowding(service, stadium, club) as crowd:
        hit = kill_workers(service, seconds)
        crowd.stop()
    note(f"{hit.total()} workers killed: {dict(hit)}")
    assert hit.total() > seconds / KILL_EVERY_SECONDS / 2
    check_nobody_met_more_than_a_delay(crowd)
    assert crowd.statuses()[409]  # the club was sold out among the deaths, to the last ticket
    check_sold_exactly(service, crowd.wishes)


@pytest.mark.parametrize("phase", [Phase.HOLDING, Phase.IDLE])
def test_a_worker_may_be_killed_wherever_it_is(service: Host, stadium: str, phase: Phase) -> None:
    with crowding(service, stadium) as crowd:
        for _ in range(3):
            os.kill(stopped_in(service, phase), signal.SIGKILL)
            sold = crowd.sold()
            until(lambda sold=sold: crowd.sold() > sold + 100, "others go on")  # type: ignore[misc]
        crowd.stop()
    check_nobody_met_more_than_a_delay(crowd)
    check_sold_exactly(service, crowd.wishes)
    wait_until(lambda: len(service.family()["worker"]) == 2, 2, "another one in its place")


def test_a_lock_of_the_dead_is_given_back_though_who_was_to_do_it_died_too(
    site: Site,
) -> None:
    """Killed while it started, before it reached Redis; nothing is sold until the lock is free."""
    host = site.host("serve", lock_ttl_ms=60_000).start()
    stadium = put(host, "stadium", PLENTY)
    with crowding(host, stadium, warm=20) as crowd:
        holder = stopped_with_the_lock(host, site.redis)
        site.redis.pause()
        worker = next(p.worker for p in host.hearts().pulses() if p.pid == holder)
        os.kill(holder, signal.SIGKILL)
        for _ in range(3):
            os.kill(booting_in_place_of(host, worker, holder), signal.SIGKILL)
        sold = crowd.sold()
        site.redis.go_on()
        until(lambda: crowd.sold() > sold + 20, "it sells again", FREE_SECONDS)
        crowd.stop()
    check_sold_exactly(host, crowd.wishes)


def stopped_with_the_lock(host: Host, redis: RedisServer) -> int:
    """Stop a worker whose lock no command of its own, sent before, gives back; return its pid."""
    for _ in range(100):
        pid = stopped_in(host, Phase.HOLDING)
        owners = [redis.ask("GET", Keys(1).lock) for _ in range(2)]
        if f":{pid}:" in str(owners[1]):
            return pid
        proceed(pid)
    raise AssertionError("no worker was caught with the lock")


def booting_in_place_of(host: Host, worker: int, dead: int) -> int:
    """Wait for the process that starts in place of a dead one; return its pid."""
    hearts = host.hearts()

    def starts() -> bool:
        pulse = hearts.pulse(worker)
        return pulse.pid not in (0, dead) and pulse.phase is Phase.BOOTING and alive(pulse.pid)

    wait_until(starts, 5, host.log)
    return hearts.pulse(worker).pid
