"""What the benchmark holds soldout to, as figures: a list of goals, and what became of each.

In: turns. Out: for each goal whose turns were played, a `Target` with its figure in every round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from msgspec import Struct

from loadtest.rivals import CEILING, CELERY, EMBEDDED, LUA, ON_REDIS, SQLITE, Rival
from loadtest.turns import Turn, of, ratios

BATCH_MIN = 16  # what a batch costs by itself is spread over so many sales, or more
LONE_MS_MAX = 1.5  # two processes are woken, and a page is read and written, but for the fsync

Measure = Callable[[Sequence[Turn]], list[float]]


class Target(Struct, frozen=True):
    """A figure we hold ourselves to: at least the limit if it is a floor, at most if not."""

    name: str
    connections: int | None  # None: whatever was played
    rounds: list[float]
    limit: float
    floor: bool

    @property
    def met(self) -> bool:
        """Whether the median keeps to the limit."""
        middle = median(self.rounds)
        return middle >= self.limit if self.floor else middle <= self.limit

    def __str__(self) -> str:
        """Say it in a line: median, spread, limit."""
        at = f", {self.connections} connections" if self.connections else ""
        limit = f"at {'least' if self.floor else 'most'} {self.limit:g}"
        verdict = "met" if self.met else "MISSED"
        return f"{self.name}{at}: {spread(self.rounds)}, {limit}: {verdict}"


@dataclass(frozen=True)
class Goal:
    """A target before anything was measured."""

    name: str
    connections: int | None
    limit: float
    floor: bool
    measure: Measure


def at_least(
    name: str, ours: Rival, theirs: Rival, connections: int, limit: float, scenario: str = "sale"
) -> Goal:
    """Return the goal to answer so many times what another rival answers in the same round."""

    def measure(turns: Sequence[Turn]) -> list[float]:
        return ratios(
            of(turns, ours, connections, scenario), of(turns, theirs, connections, scenario)
        )

    return Goal(name, connections, limit, True, measure)


def _patience(turns: Sequence[Turn]) -> list[float]:
    return ratios(of(turns, EMBEDDED, 64), of(turns, CEILING, 64), "p99_ms")


def _lone(turns: Sequence[Turn]) -> list[float]:
    return [turn.p50_ms - turn.fsync_ms for turn in of(turns, EMBEDDED, 1)]


def _workers(rival: Rival) -> Measure:
    return lambda turns: [
        turn.workers_us + turn.store_us
        for turn in turns
        if turn.rival == rival.name and turn.scenario == "sale" and turn.batch >= BATCH_MIN
    ]


GOALS = (
    at_least("sales beside an empty view", EMBEDDED, CEILING, 64, 0.85),
    at_least("sales on Redis beside an empty view", ON_REDIS, CEILING, 64, 0.62),
    at_least("sales on Redis beside an empty view", ON_REDIS, CEILING, 256, 0.70),
    at_least("sales on Redis beside Flask + Lua", ON_REDIS, LUA, 64, 1.2),
    at_least("sales on Redis beside Flask + Lua", ON_REDIS, LUA, 256, 2.0),
    at_least("sales beside Flask + SQLite", EMBEDDED, SQLITE, 64, 5.0),
    at_least("sales beside Flask + Celery", EMBEDDED, CELERY, 64, 50.0),
    at_least("GET /remaining beside an empty view", EMBEDDED, CEILING, 64, 0.9, "remaining"),
    Goal("p99 beside an empty view's", 64, 1.0, False, _patience),
    Goal(
        f"workers' µs a sale, batches of {BATCH_MIN} or more", None, 30.0, False, _workers(EMBEDDED)
    ),
    Goal(
        f"workers' and Redis' µs a sale, batches of {BATCH_MIN} or more",
        None,
        50.0,
        False,
        _workers(ON_REDIS),
    ),
    Goal("ms of a lone purchase, less one fsync", 1, LONE_MS_MAX, False, _lone),
)


def judge(turns: Sequence[Turn]) -> list[Target]:
    """Return what became of each goal whose turns were played."""
    return [
        Target(goal.name, goal.connections, rounds, goal.limit, goal.floor)
        for goal in GOALS
        if (rounds := goal.measure(turns))
    ]


def spread(rounds: Sequence[float]) -> str:
    """Say the median, the least and the most."""
    return f"{median(rounds):.2f} ({min(rounds):.2f} to {max(rounds):.2f})"
