"""Told to leave (SIGTERM, Ctrl-C), the service answers whoever got through, and loses nothing."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.conftest import put
from tests.faults.crowd import (
    PLENTY,
    Crowd,
    Wish,
    all_orders,
    check_orders_are_there,
    check_sold_exactly,
    crowding,
)
from tests.faults.line import Fate, Line
from tests.faults.stopping import standing_still
from tests.harness import STOP_SECONDS, Soldout, alive, lets_in, wait_until
from tests.onlooker import looking

ROUNDS = 12


def terminate(service: Soldout) -> int:
    return service.terminate()


def press_ctrl_c(service: Soldout) -> int:
    """Interrupt all processes of the service's group, as a terminal does."""
    assert service.process is not None
    os.killpg(service.pid, signal.SIGINT)
    return service.process.wait(STOP_SECONDS)


def terminate_all(service: Soldout) -> int:
    """Tell all processes of the service's group to leave, as `timeout` and systemd do."""
    assert service.process is not None
    os.killpg(service.pid, signal.SIGTERM)
    return service.process.wait(STOP_SECONDS)


def check_everybody_was_answered(crowd: Crowd) -> None:
    """Whoever could send a request got a whole answer; the others were never let in.

    A connection that says nothing is hung up on in the end, and its client may send something just
    then (RFC 9112, section 9.3.1). Nobody has read that.
    """
    crowd.tell()
    assert set(crowd.fates()) <= {Fate.ANSWERED, Fate.NOT_SENT, Fate.LATE}
    assert set(crowd.statuses()) <= {201, 409}


def check_nothing_else_was_sold(service: Soldout, crowd: Crowd) -> None:
    """Look into the ledger, with a new service: it holds what buyers were told, and no more."""
    for event in {wish.event for wish in crowd.wishes}:
        wishes = [wish for wish in crowd.wishes if wish.event == event]
        orders = all_orders(service, event)
        check_orders_are_there(wishes, orders)
        assert len(orders) == sum(bool(wish.orders) for wish in wishes)
        audit = service.audit(event)
        assert audit["sold"] == sum(wish.quantity for wish in wishes if wish.orders)


@pytest.mark.parametrize("leave", [terminate, press_ctrl_c, terminate_all])
def test_leaving_in_a_crowd_answers_everybody_and_loses_nothing(
    service: Soldout, stadium: str, club: str, leave: Callable[[Soldout], int]
) -> None:
    with crowding(service, stadium, club) as crowd:
        leave_and_come_back(service, crowd, leave)


@pytest.mark.parametrize("think_seconds", [0.5, 1.5])
def test_leaving_answers_also_those_who_think_between_two_purchases(
    service: Soldout, stadium: str, think_seconds: float
) -> None:
    """Their connections are open and silent, and any of them may ask just when it is closed."""
    with crowding(service, stadium, lines=256, think_seconds=think_seconds) as crowd:
        leave_and_come_back(service, crowd, terminate)


def test_a_service_that_left_leaves_its_ledger_as_one_file(service: Soldout) -> None:
    """The last worker out empties the log; of two that close at once, neither is the last."""
    for _ in range(2):
        stadium = put(service, "stadium", PLENTY)
        assert service.buy(stadium).status_code == 201
        assert service.terminate() == 0
        assert [path.name for path in service.data_dir.glob("ledger.db-*")] == ["ledger.db-seen"]
        service.start()


@pytest.mark.long  # the same a dozen times over
@pytest.mark.timeout(300)
@pytest.mark.parametrize("think_seconds", [0, 1.0])
def test_leaving_at_any_moment_answers_everybody(service: Soldout, think_seconds: float) -> None:
    for _ in range(ROUNDS):
        stadium = put(service, "stadium", PLENTY)
        with crowding(service, stadium, lines=256, think_seconds=think_seconds) as crowd:
            leave_and_come_back(service, crowd, terminate)


def leave_and_come_back(service: Soldout, crowd: Crowd, leave: Callable[[Soldout], int]) -> None:
    family = [pid for pids in service.family().values() for pid in pids]
    before = len(service.log())
    assert leave(service) == 0
    assert not any(map(alive, family))
    assert "ended with status" not in service.log()[before:]  # each left when it was its turn
    crowd.abandon()
    check_everybody_was_answered(crowd)
    service.start()
    check_nothing_else_was_sold(service, crowd)


def test_what_is_under_way_is_settled_before_the_service_leaves(
    service: Soldout, stadium: str
) -> None:
    """Its parent waits for a worker's results: buyers get theirs although all are told to leave."""
    wishes = [Wish(uuid.uuid4().hex, stadium, 2) for _ in range(20)]
    drains = service.log().count("draining")
    with ExitStack() as stack:
        lines = [stack.enter_context(Line(service.port)) for _ in wishes]
        with standing_still(*service.family()["worker"]):
            sent = [line.send(wish.request()) for line, wish in zip(lines, wishes, strict=True)]
            os.kill(service.pid, signal.SIGTERM)
            wait_until(lambda: service.log().count("draining") > drains, 2, "it drains")
        answers = [line.read(attempt) for line, attempt in zip(lines, sent, strict=True)]
    told = [(a.fate, a.status, a.headers["connection"]) for a in answers]
    assert told == [(Fate.ANSWERED, 201, "close")] * len(wishes)
    assert service.process is not None
    assert service.process.wait(STOP_SECONDS) == 0
    service.start()
    assert service.audit(stadium)["sold"] == 2 * len(wishes)


def test_an_open_connection_gets_one_more_answer_while_the_service_leaves(
    service: Soldout, stadium: str
) -> None:
    with Line(service.port) as line:
        before = line.ask(Wish(uuid.uuid4().hex, stadium, 1).request())
        assert (before.status, before.headers["connection"]) == (201, "keep-alive")
        os.kill(service.pid, signal.SIGTERM)
        wait_until(lambda: not lets_in(service.port), 5, "it lets nobody else in")
        after = line.ask(Wish(uuid.uuid4().hex, stadium, 1).request())
        assert (after.status, after.headers["connection"]) == (201, "close")
    assert service.process is not None
    assert service.process.wait(STOP_SECONDS) == 0


def test_a_service_that_leaves_lets_in_nobody_whom_it_would_cut_off(
    service: Soldout, stadium: str
) -> None:
    """Before it has accepted all that wait: after that, there is always one more."""
    with Line(service.port) as early:
        with standing_still(*service.family()["web"]):
            wish = Wish(uuid.uuid4().hex, stadium, 1)
            sent = early.send(wish.request())  # the kernel lets it in, nobody has accepted it
            os.kill(service.pid, signal.SIGTERM)
            wait_until(lambda: not lets_in(service.port), 10, "the door is shut")
        answer = early.read(sent)
    assert (answer.fate, answer.status) == (Fate.ANSWERED, 201)
    assert service.process is not None
    assert service.process.wait(STOP_SECONDS) == 0


def test_told_to_leave_while_it_starts_it_leaves(tmp_path: Path) -> None:
    service = Soldout(tmp_path / "data")
    with service.log_path.open("ab") as log:
        command = [sys.executable, "-m", "service", "serve"]
        process = service.process = subprocess.Popen(command, env=service.env, stderr=log)
    try:
        wait_until((tmp_path / "data" / "ledger.db").exists, 10, service.log)
        assert service.terminate() == 0
    finally:
        process.kill()
        process.wait()


def test_a_web_process_told_to_leave_cuts_nobody_and_is_replaced(
    service: Soldout, stadium: str, club: str
) -> None:
    with crowding(service, stadium, club) as crowd:
        leaver = service.family()["web"][0]
        os.kill(leaver, signal.SIGTERM)
        wait_until(lambda: not alive(leaver), STOP_SECONDS, "it left")
        wait_until(lambda: len(service.family()["web"]) == 2, 5, "another one in its place")
        crowd.stop()
    check_everybody_was_answered(crowd)
    assert set(crowd.fates()) == {Fate.ANSWERED}
    check_sold_exactly(service, crowd.wishes)


def test_who_only_looks_on_is_let_go_at_once(service: Soldout, stadium: str) -> None:
    """A web process that still waits for what it handed over has ended its streams already."""
    webs = service.family()["web"]
    with ExitStack() as stack:
        crowd = [stack.enter_context(looking(service.port)) for _ in range(50)]
        lines = [stack.enter_context(Line(service.port)) for _ in range(20)]
        wishes = [Wish(uuid.uuid4().hex, stadium, 1) for _ in lines]
        with standing_still(service.pid, *service.family()["worker"]):  # and nobody replaces them
            sent = [line.send(wish.request()) for line, wish in zip(lines, wishes, strict=True)]
            for web in webs:
                os.kill(web, signal.SIGTERM)
            for onlooker in crowd:
                onlooker.until_ended()
            answered, _, _ = select.select(lines, [], [], 0)
            assert answered == []
        answers = [line.read(attempt) for line, attempt in zip(lines, sent, strict=True)]
    assert {answer.fate for answer in answers} == {Fate.ANSWERED}
    wait_until(lambda: not any(map(alive, webs)), STOP_SECONDS, "they left")


def test_streams_alone_do_not_delay_the_leaving(service: Soldout, stadium: str) -> None:
    with looking(service.port) as onlooker:
        onlooker.until(stadium)
        assert service.terminate() == 0
        onlooker.until_ended()
    assert "left with" not in service.log()
    service.start()
