"""The numbers of a run are those of its evidence, and nothing is made to look better."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadtest.evidence import Evidence
from loadtest.figures import Run, Slices, quantile, run_of, shares
from loadtest.findings import State
from loadtest.judgement import judge
from loadtest.stories import Answer, Item, Order, Ticket
from tests.loadtest.samples import at, good_run, look, peer_run, purchase, sold


def numbers(evidence: Evidence, seconds: float = 10.0) -> Run:
    evidence = replace(evidence, began_at=0.0, ended_at=seconds)
    return run_of(evidence, judge(evidence), server="it", users=3, seconds=seconds)


def test_a_run_in_which_all_was_right() -> None:
    run = numbers(good_run())
    assert (run.capacity, run.tickets_told, run.left) == (4, 4, 0)
    assert (run.oversold, run.sold_twice, run.uncounted) == (0, 0, 0)
    assert run.passed
    assert run.heard == {
        "replayed": 2, "sold": 1, "no answer": 1, "pending": 1, "not-on-sale": 1, "sold-out": 1,
    }  # fmt: skip
    assert [promise.name for promise in run.promises if promise.state is State.BREACH] == []


def test_every_request_is_counted_when_it_came_and_every_answer_when_it_was_heard() -> None:
    run = numbers(good_run())
    width = run.slice_seconds
    assert sum(run.arrivals) * width == pytest.approx(7)
    by_answer = (run.sold, run.replayed, run.refused, run.unsettled)
    assert [round(sum(rates) * width) for rates in by_answer] == [1, 2, 2, 1]
    assert run.sold[int(2 / width)] == pytest.approx(1 / width)
    assert run.arrivals[int(3 / width)] == pytest.approx(2 / width)


def test_the_stock_goes_down_as_buyers_hear_of_it_and_ends_at_what_is_left() -> None:
    run = numbers(good_run())
    assert run.real == [(0.0, 4), (2.0, 3), (6.0, 0)]
    assert run.shown[-1] == (9.1, 0)


def test_more_in_buyers_hands_than_there_was_goes_below_zero() -> None:
    evidence = peer_run()
    for before in evidence.record.purchases:
        at(1.0, 2.0, before.answers[0])
    tickets = (Ticket(2, "general"), Ticket(3, "general"))
    again = Order("order-9", "gala", (Item("general", 2),), tickets)
    heard = at(4.0, 5.0, sold(again))
    evidence.record.purchases.append(purchase("eve", {"general": 2}, heard))
    run = numbers(evidence)
    assert not run.passed
    assert (run.oversold, run.sold_twice, run.uncounted) == (1, 1, 1)
    assert run.real[-1][1] == -1
    assert run.left == 0
    assert run.opens_at is None


def test_the_referees_questions_after_the_end_are_no_rush() -> None:
    evidence = good_run()
    late = Answer(asked_at=11.0, heard_at=11.5, status=409, problem="sold-out")
    evidence.record.purchases[2].answers.append(late)
    assert numbers(evidence).latency.answers == numbers(good_run()).latency.answers == 6


def test_latencies_are_times_that_were_measured() -> None:
    latency = numbers(good_run()).latency
    assert {latency.p50, latency.p99, latency.p999, latency.slowest} == {1000.0}
    assert len(latency.p99_over_time) == len(latency.p50_over_time)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1000)]
)
def test_a_quantile_is_the_nearest_rank(share: float, expected: float) -> None:
    assert quantile([float(number) for number in range(1, 1001)], share) == expected


def test_of_nothing_there_is_no_quantile() -> None:
    assert quantile([], 0.5) is None
    assert shares(0) == []


@pytest.mark.parametrize("answers", [1, 9, 100, 12_345])
def test_a_distribution_goes_no_further_than_its_answers_can_tell(answers: int) -> None:
    assert shares(answers)[0] == 0.0
    assert round((1 - shares(answers)[-1]) * answers, 2) >= 1


@pytest.mark.parametrize("seconds", [1, 4, 12, 60, 3_600, 100_000])
def test_slices_cover_a_run_of_any_length(seconds: float) -> None:
    slices = Slices(seconds, began_at=100.0)
    assert slices.of(99.0) == slices.of(100.0) == 0
    assert slices.of(100.0 + seconds * 2) == slices.number - 1
    assert slices.number * slices.seconds >= seconds
    assert slices.number <= 60
    assert sum(slices.rate([100.0, 100.0 + seconds / 2])) > 0


def test_a_slice_keeps_its_last_value() -> None:
    slices = Slices(10.0, began_at=0.0)
    values = [(0.0, 9), (1.01, 8), (1.02, 7), (9.0, look(0, 0).remaining)]
    assert slices.last(reversed(values)) == [(0.0, 9), (1.02, 7), (9.0, 4)]
