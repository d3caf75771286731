"""A container's health check: whether every worker of its pool has booted and lives."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.healthy import look
from workers.hearts import HEARTBEAT_LIMIT_MS, Hearts, clock_ms
from workers.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(data_dir=str(tmp_path), workers=2)
    found.run_path.mkdir()
    return found


@pytest.fixture
def hearts(settings: Settings) -> Hearts:
    return Hearts(settings.run_path / "hearts", settings.workers, create=True)


def boot(hearts: Hearts, worker: int) -> None:
    hearts.start(worker, pid=100 + worker).be_ready()


def test_a_pool_whose_workers_all_live_is_healthy(settings: Settings, hearts: Hearts) -> None:
    boot(hearts, 1)
    boot(hearts, 2)
    assert look(settings) == []


def test_a_pool_is_not_healthy_before_it_is_complete(settings: Settings, hearts: Hearts) -> None:
    boot(hearts, 1)
    hearts.start(2, pid=102)
    assert look(settings) == ["worker 2 has not booted"]


def test_workers_whose_hearts_stand_still_are_named(
    settings: Settings, hearts: Hearts, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot(hearts, 1)
    boot(hearts, 2)
    later = clock_ms() + HEARTBEAT_LIMIT_MS + 1_000
    monkeypatch.setattr("workers.healthy.clock_ms", lambda: later)
    assert [fault.partition(" has not been heard")[0] for fault in look(settings)] == [
        "worker 1",
        "worker 2",
    ]


def test_where_no_pool_runs_nothing_is_healthy(settings: Settings) -> None:
    [fault] = look(settings)
    assert "no pool of 2 runs" in fault
