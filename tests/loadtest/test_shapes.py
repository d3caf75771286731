"""The rush is three acts however long it lasts and however many come."""

from __future__ import annotations

import pytest

from loadtest.shapes import ACTS, act_at, crowd_of, opening_seconds, tickets_for

SIZES = [(1, 5), (30, 6), (200, 60), (5_000, 3_600)]


def crowd_at(elapsed_seconds: float, users: int, run_seconds: float) -> int | None:
    act = act_at(elapsed_seconds, run_seconds)
    return crowd_of(act, users) if act else None


@pytest.mark.parametrize(
    ("share_of_the_run", "crowd"),
    [(0, 20), (0.19, 20), (0.2, 200), (0.79, 200), (0.8, 40), (0.99, 40), (1, None), (2, None)],
)
@pytest.mark.parametrize("run_seconds", [5, 60, 3_600])
def test_the_acts_stretch_with_the_seconds_of_the_run(
    share_of_the_run: float, crowd: int | None, run_seconds: float
) -> None:
    assert crowd_at(share_of_the_run * run_seconds, 200, run_seconds) == crowd


@pytest.mark.parametrize("users", [1, 9, 200, 5_000])
def test_the_crowd_stretches_with_the_users_and_is_never_empty(users: int) -> None:
    quiet, rush, tail = (crowd_of(act, users) for act in ACTS)
    assert rush == users
    assert 1 <= quiet <= tail <= rush


@pytest.mark.parametrize(("users", "run_seconds"), SIZES)
def test_the_sale_opens_before_the_rush_begins(users: int, run_seconds: float) -> None:
    opening = act_at(opening_seconds(run_seconds), run_seconds)
    assert opening is not None
    assert opening.name == "quiet"
    assert opening_seconds(run_seconds) > 0


@pytest.mark.parametrize(("users", "run_seconds"), SIZES)
def test_more_users_or_seconds_never_mean_fewer_tickets(users: int, run_seconds: float) -> None:
    tickets = tickets_for(users, run_seconds)
    assert 0 < tickets <= tickets_for(users + 1, run_seconds)
    assert tickets <= tickets_for(users, run_seconds + 1)
