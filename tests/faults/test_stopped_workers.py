"""Workers that hang (SIGSTOP), with the lock or without: others go on, and nothing is lost."""

from __future__ import annotations

import re
import time

import pytest

from tests.faults.crowd import Crowd, check_sold_exactly, crowding, until
from tests.faults.line import Fate
from tests.faults.stopping import proceed, standing_still, stopped_in
from tests.harness import Soldout, alive, wait_until
from workers.hearts import Phase, clock_ms

HEARTBEAT_LIMIT_SECONDS = 2.0
ANSWER_SECONDS = HEARTBEAT_LIMIT_SECONDS + 1.0  # and by then the others have gone on


def check_nobody_lost_anything(crowd: Crowd) -> None:
    crowd.tell()
    assert set(crowd.fates()) == {Fate.ANSWERED}
    assert set(crowd.statuses()) == {201}


@pytest.mark.parametrize("phase", [Phase.HOLDING, Phase.TAKING, Phase.IDLE])
def test_when_a_worker_hangs_all_is_sold_within_the_heartbeat_limit(
    service: Soldout, stadium: str, phase: Phase
) -> None:
    with crowding(service, stadium) as crowd:
        victim = stopped_in(service, phase)
        hung_at = time.monotonic()
        sold = crowd.sold()
        until(lambda: not alive(victim), "who hangs is killed", ANSWER_SECONDS)
        until(lambda: crowd.sold() > sold + 500, "the others go on")
        crowd.stop()
    check_nobody_lost_anything(crowd)
    assert any(attempt.sent_at > hung_at for attempt in crowd.attempts)
    assert crowd.longest_seconds() < ANSWER_SECONDS
    check_sold_exactly(service, crowd.wishes)
    wait_until(lambda: len(service.family()["worker"]) == 2, 2, "another one in its place")


def test_a_worker_that_hangs_when_all_shall_leave_is_killed_as_ever(
    service: Soldout, stadium: str
) -> None:
    """Until it is dead it may still commit what buyers were told cannot be sold any more."""
    assert service.buy(stadium).status_code == 201
    victim, *_ = service.family()["worker"]
    before = len(service.log())
    with standing_still(victim):
        assert service.terminate() == 0
    [_] = re.findall(r"worker \d hangs .*killed", service.log()[before:])
    service.start()
    assert service.audit(stadium)["sold"] == 1


def test_a_worker_that_hangs_without_the_lock_stops_nobody_else(
    service: Soldout, stadium: str
) -> None:
    with crowding(service, stadium) as crowd:
        victim = stopped_in(service, Phase.IDLE)
        sold = crowd.sold()
        until(lambda: crowd.sold() > sold + 200 or not alive(victim), "the others go on")
        assert alive(victim), "nothing was sold until it was killed"
        proceed(victim)
        crowd.stop()
    check_nobody_lost_anything(crowd)
    check_sold_exactly(service, crowd.wishes)


def test_a_worker_that_wakes_in_time_goes_on_where_it_stopped(
    service: Soldout, stadium: str
) -> None:
    with crowding(service, stadium) as crowd:
        sleeper = stopped_in(service, Phase.HOLDING)
        time.sleep(HEARTBEAT_LIMIT_SECONDS / 4)  # it sleeps for so long, and nothing can be sold
        sold = crowd.sold()
        proceed(sleeper)
        until(lambda: crowd.sold() > sold + 300, "it goes on")
        crowd.stop()
    assert alive(sleeper)
    check_nobody_lost_anything(crowd)
    check_sold_exactly(service, crowd.wishes)


def test_a_machine_that_was_suspended_goes_on_with_the_same_workers(
    service: Soldout, stadium: str
) -> None:
    """All hearts look still then, because nobody looked at them."""
    hearts = service.hearts()
    with crowding(service, stadium) as crowd:
        workers = service.family()["worker"]
        with standing_still(service.pid, *workers):
            limit_ms = 1000 * HEARTBEAT_LIMIT_SECONDS
            until(
                lambda: all(clock_ms() - p.beat_clock_ms > 1.2 * limit_ms for p in hearts.pulses()),
                "all hearts look still",
            )
        sold = crowd.sold()
        until(lambda: crowd.sold() > sold + 300, "all go on")
        crowd.stop()
    assert set(service.family()["worker"]) == set(workers)
    check_nobody_lost_anything(crowd)
    check_sold_exactly(service, crowd.wishes)
