"""The model keeps to the laws of queues, and finds the costs that made the figures."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace as but

from loadtest.capacity import Cost, Costs, fit, forecast, main
from loadtest.turns import Turn
from tests.loadtest.test_targets import TURN

COSTS = Costs(clients=Cost(0, 50), web=Cost(100, 150), workers=Cost(300, 20), sync_us=500.0)


def turn(size: float, connections: int = 64) -> Turn:
    """What COSTS make of batches of one size."""
    return but(
        TURN,
        connections=connections,
        batch=size,
        clients_us=COSTS.clients.of(size) / size,
        web_us=COSTS.web.of(size) / size,
        workers_us=COSTS.workers.of(size) / size,
        fsync_ms=COSTS.sync_us / 1e3,
    )


def test_one_client_waits_for_every_part_in_turn() -> None:
    alone = forecast(COSTS, 1, cores=2)
    assert alone.sales_a_second == pytest.approx(1e6 / (50 + 250 + 320 + 500), rel=0.01)
    assert (alone.batch, alone.bound) == (1, "crowd")


def test_a_crowd_fills_the_processors_and_a_larger_one_makes_larger_batches() -> None:
    some, more = forecast(COSTS, 64, cores=2), forecast(COSTS, 256, cores=2)
    assert some.bound == more.bound == "processors"
    assert some.batch == pytest.approx(64 / 3, rel=0.01)
    assert more.sales_a_second > some.sales_a_second
    assert more.sales_a_second < 2e6 / (50 + 150 + 20)


def test_with_processors_enough_the_lock_is_the_wall() -> None:
    wall = forecast(COSTS, 20_000, cores=1_000, web_processes=500)
    assert wall.bound == "lock"
    assert wall.sales_a_second == pytest.approx(512e6 / (300 + 512 * 20 + 500), rel=0.01)


@pytest.mark.parametrize("connections", [1, 2, 5, 16, 64, 256, 2_000])
def test_nobody_is_in_two_places(connections: int) -> None:
    """Little's law: those that are being settled are not more than all."""
    expected = forecast(COSTS, connections, cores=4)
    settling = expected.sales_a_second * (COSTS.workers.of(expected.batch) + COSTS.sync_us) / 1e6
    assert settling <= connections * 1.01
    assert 1 <= expected.batch <= min(connections, 512)


def test_a_slower_disk_makes_batches_larger_and_the_processors_no_slower() -> None:
    slow = but(COSTS, sync_us=10_000.0)
    assert forecast(slow, 256, cores=2).batch > forecast(COSTS, 256, cores=2).batch / 1.01
    assert forecast(slow, 1, cores=2).sales_a_second < 100
    fast_rate, slow_rate = (forecast(c, 1_000, cores=2).sales_a_second for c in (COSTS, slow))
    assert slow_rate > 0.9 * fast_rate


def test_costs_are_found_again_in_what_they_made() -> None:
    found = fit([turn(1), turn(5), turn(20), turn(60)])
    for name in ("clients", "web", "workers"):
        part, made = getattr(found, name), getattr(COSTS, name)
        assert (part.batch, part.sale) == (
            pytest.approx(made.batch, abs=0.1),
            pytest.approx(made.sale),
        )
    assert found.sync_us == COSTS.sync_us


def test_a_report_is_set_beside_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bench.json"
    assert main(path) == 2
    turns = [turn(1, 1), turn(20, 64)]
    path.write_bytes(msgspec.json.encode({"machine": {"cores": "2"}, "turns": turns}))
    assert main(path) == 0
    said = capsys.readouterr().out
    assert "workers      300 µs a batch     20 µs a sale" in said
    assert "64 connections:" in said
