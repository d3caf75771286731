"""The rush in three acts: how large the crowd is when, when the sale opens, and what it sells.

In: the users and seconds of the run, whatever they are. Out: numbers; locust's classes stand in
`locustfile.py`, so that importing this file patches nothing.
"""

from __future__ import annotations

from typing import NamedTuple


class Act(NamedTuple):
    """A part of the run, up to a share of its length, with a share of its users."""

    name: str
    ends_at: float
    crowd: float


ACTS = (
    Act("quiet", ends_at=0.2, crowd=0.1),  # lookers and early birds, before and just after opening
    Act("rush", ends_at=0.8, crowd=1.0),  # everyone at once
    Act("tail", ends_at=1.0, crowd=0.2),  # those who still hope
)
OPENS_AT = 0.15  # before the rush, so that the quiet act sees the sale closed and then open

# The stock must run out early in the rush, on a slow machine too: the last ticket is what we test.
TICKETS_A_USER_SECOND = 0.5  # a buyer comes back about once a second and buys nearly two tickets
TICKETS_A_SECOND_MAX = 100  # two slow cores that also run the crowd sell at least twice as many
TICKETS_MIN = 10


def act_at(elapsed_seconds: float, run_seconds: float) -> Act | None:
    """Return the act that is on, or None when the run is over."""
    for act in ACTS:
        if elapsed_seconds < act.ends_at * run_seconds:
            return act
    return None


def crowd_of(act: Act, users: int) -> int:
    """Return how many users an act brings on; never none, so that each act is played."""
    return max(1, round(act.crowd * users))


def opening_seconds(run_seconds: float) -> float:
    """Return how long after its start the run opens the sale."""
    return OPENS_AT * run_seconds


def tickets_for(users: int, run_seconds: float) -> int:
    """Return a capacity that the crowd buys out in the first half of the rush."""
    quiet, rush, _ = ACTS
    rush_seconds = (rush.ends_at - quiet.ends_at) * run_seconds
    tickets_a_second = min(users * TICKETS_A_USER_SECOND, TICKETS_A_SECOND_MAX)
    return max(TICKETS_MIN, round(rush_seconds * tickets_a_second))
