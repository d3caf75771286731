"""Workers killed without warning, wherever they are: buyers meet a delay, and nothing else."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter

import pytest

from tests.faults.crowd import check_sold_exactly, crowding, until
from tests.faults.stopping import stopped_in
from tests.faults.test_killed_workers import check_nobody_met_more_than_a_delay
from tests.faults_redis.hosts import Host
from tests.harness import SEED, note, wait_until
from workers.hearts import Phase

KILL_EVERY_SECONDS = 0.3


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
    service: Host, stadium: str, club: str, seconds: float
) -> None:
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
