"""A run passes only if every invariant was looked at and kept, and what is wrong can be read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as but

from loadtest.evidence import Evidence
from loadtest.invariants import BOOKS_CHECKS, CHECKS
from loadtest.judgement import BREACHES_PRINTED, State, judge, passed, report, summary
from loadtest.stories import Look, Order, Record
from tests.loadtest.samples import SALE, SINGLE, good_run, peer_run, purchase, sold


def states(evidence: Evidence) -> dict[str, State]:
    return {verdict.name: verdict.state for verdict in judge(evidence)}


def test_a_run_that_went_right_passes_and_says_so() -> None:
    verdicts = judge(good_run())
    assert passed(verdicts)
    assert report(verdicts).endswith("RIGHT")


def test_a_check_that_checked_nothing_is_not_passed() -> None:
    nothing_happened = Evidence(SALE, Record(), Look(fault="?"), None, 0, 0)
    verdicts = judge(nothing_happened)
    assert {verdict.state for verdict in verdicts} == {State.NOTHING_CHECKED}
    assert not passed(verdicts)
    assert "WRONG: 19 of 19 invariants not kept" in report(verdicts)


@pytest.mark.parametrize("name", [*CHECKS, *BOOKS_CHECKS])
def test_one_check_that_checked_nothing_fails_the_run(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = CHECKS if name in CHECKS else BOOKS_CHECKS
    monkeypatch.setitem(checks, name, lambda *_: (0, []))
    assert not passed(judge(good_run()))


def test_a_stock_that_outlives_the_rush_is_told_how_to_sell_out() -> None:
    run = good_run()
    del run.record.purchases[-1]  # the only one who heard "sold out"
    assert not passed(judge(run))
    assert "the stock outlived the rush" in report(judge(run))


def test_a_peer_is_not_asked_for_books_it_does_not_have() -> None:
    verdicts = judge(peer_run())
    assert {v.name for v in verdicts if v.state is State.NOT_ASKED} == set(BOOKS_CHECKS)
    assert passed(verdicts)


def test_books_that_could_not_be_read_fail_a_run_against_an_administration() -> None:
    run = replace(good_run(), books=None)
    assert {states(run)[name] for name in BOOKS_CHECKS} == {State.NOTHING_CHECKED}
    assert not passed(judge(run))


def test_a_breach_is_printed_with_what_exactly_is_wrong_and_not_a_thousand_times() -> None:
    run = good_run()
    orders: list[Order] = [but(SINGLE, id=f"order-{n}") for n in range(100, 200)]
    run.record.purchases += [purchase("ann", {"standing": 1}, sold(order)) for order in orders]
    text = report(judge(run))
    assert "standing: 103 tickets told to buyers, capacity 3" in text
    assert "order order-100 is not there" in text
    assert f"and {100 - BREACHES_PRINTED} more" in text
    assert "order order-199 is not there" not in text
    assert text.endswith("invariants not kept")


def test_the_summary_tells_what_clients_heard_and_how_to_draw_the_same_choices() -> None:
    text = summary(good_run())
    assert "rush: 4 tickets, 3 purchases, 3 looks, SOLDOUT_LOADTEST_SEED=7" in text
    assert "2 replayed" in text
    assert "1 no answer (impatient clients hang up early, on purpose, and ask again)" in text
    assert "1 pending (202: " in text
