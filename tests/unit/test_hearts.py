"""Heartbeats: what one process writes into its slot is what all others read."""

from __future__ import annotations

import multiprocessing as mp
import os
from pathlib import Path

import pytest

from tests.harness import wait_until
from workers.hearts import Hearts, Phase, clock_ms, wall_ms


@pytest.fixture
def hearts(tmp_path: Path) -> Hearts:
    """Slots for three workers."""
    return Hearts(tmp_path / "hearts", 3, create=True)


def test_nobody_is_seen_before_the_first_start(hearts: Hearts) -> None:
    assert hearts.pulses() == []
    assert hearts.pulse(1).phase is Phase.EMPTY


def test_a_worker_that_starts_is_seen_and_not_ready_yet(hearts: Hearts) -> None:
    before = wall_ms(), clock_ms()
    hearts.start(2, pid=4711)
    [pulse] = hearts.pulses()
    assert (pulse.worker, pulse.pid, pulse.phase, pulse.ready) == (2, 4711, Phase.BOOTING, False)
    assert before[0] <= pulse.started_ms == pulse.beat_ms <= wall_ms()
    assert before[1] <= pulse.beat_clock_ms <= clock_ms()


def test_a_worker_that_is_ready_is_idle(hearts: Hearts) -> None:
    hearts.start(1, 1).be_ready()
    assert (hearts.pulse(1).ready, hearts.pulse(1).phase) == (True, Phase.IDLE)


@pytest.mark.parametrize("phase", list(Phase))
def test_others_see_where_a_worker_is(hearts: Hearts, phase: Phase) -> None:
    hearts.start(1, 1).enter(phase)
    assert hearts.pulse(1).phase is phase


def test_each_beat_and_each_change_of_phase_is_a_sign_of_life(hearts: Hearts) -> None:
    heart = hearts.start(1, 1)
    for sign in (heart.beat, heart.be_ready, lambda: heart.enter(Phase.HOLDING)):
        last = hearts.pulse(1).beat_clock_ms
        wait_until(lambda last=last: clock_ms() > last, 5, "the clock goes on")  # type: ignore[misc]
        sign()
        assert hearts.pulse(1).beat_clock_ms > last
        assert hearts.pulse(1).beat_ms >= hearts.pulse(1).started_ms


def test_batches_and_purchases_add_up(hearts: Hearts) -> None:
    heart = hearts.start(1, 1)
    for purchases in (1, 512, 3):
        heart.count(purchases)
    assert (hearts.pulse(1).batches, hearts.pulse(1).purchases) == (3, 516)


def test_workers_do_not_touch_each_others_slots(hearts: Hearts) -> None:
    slots = [hearts.start(worker, pid=worker) for worker in (1, 2, 3)]
    before = hearts.pulse(1), hearts.pulse(3)
    slots[1].be_ready()
    slots[1].count(9)
    assert (hearts.pulse(1), hearts.pulse(3)) == before


def test_a_worker_reads_what_others_see_of_it(hearts: Hearts) -> None:
    heart = hearts.start(2, pid=4711)
    heart.count(5)
    assert heart.pulse() == hearts.pulse(2)


def test_a_worker_that_starts_again_begins_anew(hearts: Hearts) -> None:
    first = hearts.start(1, 1)
    first.be_ready()
    first.count(9)
    hearts.start(1, 2)
    pulse = hearts.pulse(1)
    assert (pulse.pid, pulse.phase, pulse.ready) == (2, Phase.BOOTING, False)
    assert (pulse.batches, pulse.purchases) == (0, 0)


def test_a_process_sees_what_another_one_writes(hearts: Hearts, tmp_path: Path) -> None:
    def work() -> None:
        heart = Hearts(tmp_path / "hearts", 3).start(3, os.getpid())
        heart.be_ready()
        heart.count(7)

    worker = mp.get_context("fork").Process(target=work)
    worker.start()
    worker.join()
    [pulse] = hearts.pulses()
    assert (pulse.worker, pulse.pid, pulse.purchases) == (3, worker.pid, 7)


def test_a_new_service_forgets_the_workers_of_the_last_one(hearts: Hearts, tmp_path: Path) -> None:
    hearts.start(1, 1).be_ready()
    assert Hearts(tmp_path / "hearts", 3, create=True).pulses() == []


def test_only_the_services_user_may_look(hearts: Hearts, tmp_path: Path) -> None:
    assert (tmp_path / "hearts").stat().st_mode & 0o077 == 0
