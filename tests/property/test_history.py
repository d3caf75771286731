"""The fast checker of histories agrees with one that tries every order of what happened."""

from __future__ import annotations

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from loadtest.history.checks import COUNTS, breaches
from loadtest.history.operations import History
from loadtest.history.search import is_possible
from tests.property.histories import Step, plans, play, spoiled

BUYING = ("buy", "buy", "buy", "look")
CANCELLING = ("buy", "buy", "look", "cancel")
capacities = st.fixed_dictionaries({"standing": st.integers(0, 9), "box": st.integers(0, 3)})


def counts_are_kept(history: History) -> bool:
    """What both need: what was told is in the ledger, and in one order for each key."""
    found = breaches(history)
    return not any(name in found for name in COUNTS if name != "the stock is never negative")


AT_ONCE = dict.fromkeys(("choice", "pause", "until_effect", "until_heard", "stale"), 0)


@settings(max_examples=300)
@given(plans(CANCELLING), capacities)
@example(  # all in one moment, and nobody knows in which order
    [[Step("look", **AT_ONCE, lost=False), Step("buy", **AT_ONCE, lost=False)]],
    {"standing": 1, "box": 0},
)
def test_what_a_correct_counter_answers_is_found_possible(plan, capacity) -> None:  # type: ignore[no-untyped-def]
    history = play(plan, capacity)
    assert breaches(history) == {}
    assert is_possible(history)


@settings(max_examples=1_000)
@given(plans(BUYING), capacities, st.integers(0, 2**32))
def test_both_agree_on_what_a_wrong_one_answers(plan, capacity, seed: int) -> None:  # type: ignore[no-untyped-def]
    history = spoiled(play(plan, capacity), random.Random(seed))
    if counts_are_kept(history):
        assert (breaches(history) == {}) == is_possible(history)


@settings(max_examples=1_000)
@given(plans(CANCELLING), capacities, st.integers(0, 2**32))
def test_what_is_found_wrong_among_cancels_is_wrong(plan, capacity, seed: int) -> None:  # type: ignore[no-untyped-def]
    """Not the other way round: cancels under way may hide something (see `timeline.py`)."""
    history = spoiled(play(plan, capacity), random.Random(seed))
    if counts_are_kept(history) and breaches(history):
        assert not is_possible(history)


def _drawn(chance: random.Random) -> Step:
    pause, until_effect, until_heard, stale = (chance.randrange(4) for _ in range(4))
    kind, choice = chance.choice(BUYING), chance.randrange(12)
    return Step(kind, choice, pause, until_effect, until_heard, stale, lost=False)


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_both_agree_on_two_hundred_operations(seed: int) -> None:
    chance = random.Random(seed)
    plan = [[_drawn(chance) for _ in range(50)] for _ in range(4)]
    history = play(plan, {"standing": 9, "box": 3})
    assert len(history.asks) + len(history.looks) == 200
    assert breaches(history) == {}
    assert is_possible(history)
    history = spoiled(history, chance)
    if counts_are_kept(history):
        assert (breaches(history) == {}) == is_possible(history)
