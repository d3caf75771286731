"""Workers killed without warning, wherever they are: buyers meet a delay, and nothing else."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter

import pytest

from tests.faults.crowd import Crowd, check_sold_exactly, crowding, until
from tests.faults.line import Fate
from tests.faults.stopping import stopped_in
from tests.harness import SEED, Soldout, alive, note, wait_until
from workers.hearts import Phase

ANSWER_SECONDS = 2.0  # however a worker dies, its buyers have their answer by then
KILL_EVERY_SECONDS = 0.3
KILL_FOR_SECONDS = 15.0


def kill_workers(service: Soldout) -> Counter[str]:
    """Kill one worker after the other; return how often each phase was hit."""
    chance = random.Random(SEED)
    hearts = service.hearts()
    hit: Counter[str] = Counter()
    ends = time.monotonic() + KILL_FOR_SECONDS
    while time.monotonic() < ends:
        time.sleep(KILL_EVERY_SECONDS)
        workers = service.family()["worker"]
        if workers:
            victim = chance.choice(workers)
            os.kill(victim, signal.SIGKILL)
            hit.update(p.phase.name.lower() for p in hearts.pulses() if p.pid == victim)
    return hit


def check_nobody_met_more_than_a_delay(crowd: Crowd) -> None:
    crowd.tell()
    assert set(crowd.fates()) == {Fate.ANSWERED}
    assert set(crowd.statuses()) <= {201, 409}
    assert crowd.longest_seconds() < ANSWER_SECONDS


def test_buyers_meet_only_a_delay_while_a_worker_is_killed_every_300_ms(
    service: Soldout, stadium: str, club: str
) -> None:
    with crowding(service, stadium, club) as crowd:
        hit = kill_workers(service)
        crowd.stop()
    note(f"{hit.total()} workers killed: {dict(hit)}")
    assert hit.total() > KILL_FOR_SECONDS / KILL_EVERY_SECONDS / 2
    check_nobody_met_more_than_a_delay(crowd)
    assert crowd.statuses()[409]  # the club was sold out among the deaths, to the last ticket
    check_sold_exactly(service, crowd.wishes)


@pytest.mark.parametrize("phase", [Phase.HOLDING, Phase.TAKING, Phase.IDLE])
def test_a_worker_may_be_killed_wherever_it_is(
    service: Soldout, stadium: str, phase: Phase
) -> None:
    """Holding the lock, asking for it, or without it: one is caught there, and killed."""
    with crowding(service, stadium) as crowd:
        victim = stopped_in(service, phase)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: not alive(victim), 1, "killed")
        sold = crowd.sold()
        until(lambda: crowd.sold() > sold + 500, "others go on")
        crowd.stop()
    check_nobody_met_more_than_a_delay(crowd)
    check_sold_exactly(service, crowd.wishes)
    wait_until(lambda: len(service.family()["worker"]) == 2, 2, "another one in its place")


@pytest.mark.long
def test_fifty_workers_may_be_killed_with_the_lock_in_their_hands(
    service: Soldout, stadium: str
) -> None:
    """Wherever in its batch each of them is: before it reads, while it writes, before it syncs."""
    with crowding(service, stadium) as crowd:
        for _ in range(50):
            os.kill(stopped_in(service, Phase.HOLDING), signal.SIGKILL)
            sold = crowd.sold()
            until(lambda sold=sold: crowd.sold() > sold + 20, "others go on")  # type: ignore[misc]
        crowd.stop()
    check_nobody_met_more_than_a_delay(crowd)
    check_sold_exactly(service, crowd.wishes)


def test_all_workers_may_be_killed_at_once(service: Soldout, stadium: str) -> None:
    with crowding(service, stadium) as crowd:
        for _ in range(3):
            for victim in service.family()["worker"]:
                os.kill(victim, signal.SIGKILL)
            sold = crowd.sold()
            until(lambda sold=sold: crowd.sold() > sold + 300, "new ones go on")  # type: ignore[misc]
        crowd.stop()
    check_nobody_met_more_than_a_delay(crowd)
    check_sold_exactly(service, crowd.wishes)
