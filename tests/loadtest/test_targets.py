"""Each target is judged by the turns it is meant for, round by round, and by nothing else."""

from __future__ import annotations

import pytest
from msgspec.structs import replace as but

from loadtest.gauges import Memory
from loadtest.rivals import CEILING, CELERY, EMBEDDED, LUA, ON_REDIS, PIPELINED, SQLITE, Rival
from loadtest.targets import Target, judge
from loadtest.turns import Turn, of, ratios

TURN = Turn(
    rival=EMBEDDED.name,
    scenario="sale",
    connections=64,
    rate=800.0,
    refusals=3,
    errors=1,
    p50_ms=5.0,
    p99_ms=20.0,
    p999_ms=40.0,
    clients_us=60.0,
    web_us=200.0,
    workers_us=30.0,
    store_us=0.0,
    rest_us=1.0,
    memory_mib=Memory(50.0, 20.0, 0.0, 10.0),
    batch=20.0,
    fsync_ms=0.5,
    elsewhere_percent=2.0,
)
EMPTY = but(TURN, rival=CEILING.name, rate=1_000.0, workers_us=0.0, batch=0.0)
TURNS = [
    *(EMPTY, TURN),
    *(but(EMPTY, rate=2_000.0), but(TURN, rate=1_000.0, workers_us=60.0)),
    *(EMPTY, but(TURN, rate=900.0, workers_us=40.0)),
]


def named(turns: list[Turn]) -> dict[tuple[str, int | None], Target]:
    return {(target.name, target.connections): target for target in judge(turns)}


def turn_of(rival: Rival, **more: object) -> Turn:
    return but(TURN, rival=rival.name, **more)


def test_soldout_is_measured_against_the_empty_view_of_the_same_round() -> None:
    assert named(TURNS)["sales beside an empty view", 64].rounds == [0.8, 0.5, 0.9]


def test_rivals_are_compared_within_a_round() -> None:
    slower = [turn_of(PIPELINED, rate=rate) for rate in (400.0, 1_000.0)]
    ours = of(TURNS[:4], EMBEDDED, 64)
    assert ratios(ours, slower) == [2.0, 1.0]
    assert ratios(ours, of(slower, PIPELINED, 256)) == []


@pytest.mark.parametrize(
    ("name", "ours", "theirs", "connections", "limit"),
    [
        ("sales beside an empty view", EMBEDDED, CEILING, 64, 0.85),
        ("sales on Redis beside an empty view", ON_REDIS, CEILING, 64, 0.62),
        ("sales on Redis beside an empty view", ON_REDIS, CEILING, 256, 0.70),
        ("sales on Redis beside Flask + Lua", ON_REDIS, LUA, 64, 1.2),
        ("sales on Redis beside Flask + Lua", ON_REDIS, LUA, 256, 2.0),
        ("sales beside Flask + SQLite", EMBEDDED, SQLITE, 64, 5.0),
        ("sales beside Flask + Celery", EMBEDDED, CELERY, 64, 50.0),
    ],
)
def test_each_goal_beside_a_rival_is_met_at_its_limit_and_missed_below(
    name: str, ours: Rival, theirs: Rival, connections: int, limit: float
) -> None:
    theirs_turn = turn_of(theirs, rate=100.0, connections=connections)
    at = turn_of(ours, rate=100.0 * limit + 0.001, connections=connections)
    below = turn_of(ours, rate=100.0 * limit - 0.001, connections=connections)
    assert named([at, theirs_turn])[name, connections].met
    assert not named([below, theirs_turn])[name, connections].met
    elsewhere = but(at, connections=1)
    assert (name, connections) not in named([elsewhere, theirs_turn])


def test_readers_are_no_sales() -> None:
    looks = [but(turn, scenario="remaining") for turn in TURNS[:2]]
    assert list(named(looks)) == [
        ("GET /remaining beside an empty view", 64),
    ]


def test_what_a_sale_costs_the_workers_is_judged_in_batches_that_are_large_enough() -> None:
    small = but(TURN, batch=15.9, workers_us=500.0)
    ours = [small, but(TURN, connections=256, workers_us=29.0)]
    assert named(ours)["workers' µs a sale, batches of 16 or more", None].rounds == [29.0]
    assert ("workers' µs a sale, batches of 16 or more", None) not in named([small])
    on_redis = named([turn_of(ON_REDIS, workers_us=30.0, store_us=21.0)])
    target = on_redis["workers' and Redis' µs a sale, batches of 16 or more", None]
    assert target.rounds == [51.0]
    assert not target.met


def test_a_lone_purchase_is_measured_without_the_disks_part() -> None:
    alone = but(TURN, connections=1, p50_ms=2.5, fsync_ms=0.75)
    target = named([alone])["ms of a lone purchase, less one fsync", 1]
    assert target.rounds == [1.75]
    assert not target.met


def test_the_slowest_of_a_hundred_waits_no_longer_than_for_nothing() -> None:
    slow = but(TURN, p99_ms=20.1)
    assert named([EMPTY, TURN])["p99 beside an empty view's", 64].met
    assert not named([EMPTY, slow])["p99 beside an empty view's", 64].met


@pytest.mark.parametrize(
    ("rounds", "limit", "floor", "met"),
    [
        ([0.7, 0.75, 0.9], 0.75, True, True),
        ([0.7, 0.74, 0.9], 0.75, True, False),
        ([10.0, 50.0, 90.0], 50.0, False, True),
        ([10.0, 51.0, 90.0], 50.0, False, False),
    ],
)
def test_a_target_is_met_by_the_median(
    rounds: list[float], limit: float, floor: bool, met: bool
) -> None:
    target = Target("figure", 64, rounds, limit, floor)
    assert target.met is met
    assert str(target).endswith("met" if met else "MISSED")
    assert str(target).startswith("figure, 64 connections: ")
