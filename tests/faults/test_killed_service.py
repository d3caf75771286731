"""Web processes, gunicorn, the supervisor killed: no orphans, and all confirmed orders stay."""

from __future__ import annotations

import os
import signal

import pytest

from tests.faults.crowd import Crowd, Wish, check_sold_exactly, crowding, until
from tests.faults.line import Fate, Line
from tests.harness import Soldout, alive, wait_until

ORPHAN_SECONDS = 10.0
SAMPLE = 300  # purchases that are asked for again


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def check_gone(pids: list[int]) -> None:
    wait_until(lambda: not any(map(alive, pids)), ORPHAN_SECONDS, f"orphans of {pids}")


def check_nothing_is_lost(service: Soldout, crowd: Crowd) -> None:
    """Hold what was told before, during and after against the ledger, and ask for some again."""
    crowd.tell()
    assert set(crowd.statuses()) <= {201, 202, 409, 503}
    check_sold_exactly(service, crowd.wishes)
    before_and_after = crowd.wishes[:: max(1, len(crowd.wishes) // SAMPLE)]
    with Line(service.port) as line:
        for wish in [wish for wish in before_and_after if wish.orders]:
            check_asking_again_gives_the_order(line, wish)
    check_sold_exactly(service, crowd.wishes)


def check_asking_again_gives_the_order(line: Line, wish: Wish) -> None:
    again = line.ask(wish.request())
    assert (again.status, again.replayed) == (201, True), again
    assert again.said == wish.orders[0]


def go_on(crowd: Crowd) -> None:
    sold = crowd.sold()
    until(lambda: crowd.sold() > sold + 500, "the crowd buys again")
    crowd.stop()


def test_a_web_process_may_be_killed(service: Soldout, stadium: str, club: str) -> None:
    with crowding(service, stadium, club) as crowd:
        victim = service.family()["web"][0]
        kill(victim)
        check_gone([victim])
        go_on(crowd)
    assert crowd.fates()[Fate.CUT] + crowd.fates()[Fate.TORN]  # it was in the middle of answering
    wait_until(lambda: len(service.family()["web"]) == 2, 5, "another one in its place")
    assert victim not in service.family()["web"]
    check_nothing_is_lost(service, crowd)


def test_all_web_processes_may_be_killed(service: Soldout, stadium: str, club: str) -> None:
    with crowding(service, stadium, club) as crowd:
        victims = service.family()["web"]
        kill(*victims)
        check_gone(victims)
        go_on(crowd)
    check_nothing_is_lost(service, crowd)


def test_gunicorn_may_be_killed_and_leaves_no_orphans(
    service: Soldout, stadium: str, club: str
) -> None:
    with crowding(service, stadium, club) as crowd:
        before = service.family()
        kill(*before["gunicorn"])
        check_gone(before["gunicorn"] + before["web"])
        go_on(crowd)
    assert service.family()["worker"] == before["worker"]
    check_nothing_is_lost(service, crowd)


@pytest.mark.long
def test_gunicorn_may_be_killed_as_often_as_it_has_been_ready_before(
    service: Soldout, stadium: str, club: str
) -> None:
    for _ in range(8):
        (gunicorn,) = service.family()["gunicorn"]
        kill(gunicorn)
        check_gone([gunicorn])
        wait_until(service.ready, 10, service.log)
    assert service.buy(stadium).status_code == 201


def test_the_supervisor_may_be_killed_and_leaves_no_orphans(
    service: Soldout, stadium: str, club: str
) -> None:
    with crowding(service, stadium, club) as crowd:
        before = service.family()
        service.kill()
        check_gone([pid for pids in before.values() for pid in pids])
        service.start()
        go_on(crowd)
    check_nothing_is_lost(service, crowd)


def test_everything_may_be_killed_at_once_as_when_the_host_fails(
    service: Soldout, stadium: str, club: str
) -> None:
    with crowding(service, stadium, club) as crowd:
        family = [pid for pids in service.family().values() for pid in pids]
        kill(service.pid, *family)
        service.kill()  # only its status is missing
        check_gone(family)
        service.start()
        go_on(crowd)
    check_nothing_is_lost(service, crowd)


def test_it_may_be_killed_again_and_again(service: Soldout, stadium: str, club: str) -> None:
    """Also while it starts, and while it repeats what the killed one left in the ledger's log."""
    with crowding(service, stadium, club) as crowd:
        for _ in range(2):
            family = [pid for pids in service.family().values() for pid in pids]
            service.kill()
            check_gone(family)
            service.start()
        go_on(crowd)
    check_nothing_is_lost(service, crowd)
