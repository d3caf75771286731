"""How often the stock is read and told: a crowd, or a stock of many events, leaves time to sell."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from service import streams
from service.streams import LOOK_MS, PAUSE_MAX_MS, PAUSE_MS, SHARE, Streams, pause_ms_after
from tests.unit.builders import gala
from workers.domain import Event
from workers.errors import LedgerFault


@pytest.mark.parametrize("least_ms", [LOOK_MS, PAUSE_MS])
@pytest.mark.parametrize("spent_ms", [0, 0.2, 1, 4, 10, 20, 39])
def test_a_share_of_the_time_is_spent_at_most(spent_ms: float, least_ms: int) -> None:
    pause_ms = pause_ms_after(spent_ms, least_ms)
    assert pause_ms >= least_ms
    assert spent_ms <= SHARE * pause_ms
    assert pause_ms == least_ms or spent_ms == pytest.approx(SHARE * pause_ms)


@pytest.mark.parametrize("spent_ms", [41, 1_000, 60_000])
def test_onlookers_wait_a_second_at_most(spent_ms: float) -> None:
    assert pause_ms_after(spent_ms, LOOK_MS) == PAUSE_MAX_MS


class SlowReader:
    """Reads take as long as it is told, by a clock that only they move."""

    def __init__(self) -> None:
        self.now_ms = 5_000
        self.takes_ms = 0
        self.fault: Exception | None = None

    def events(self) -> list[Event]:
        """Return the stock, or fail."""
        self.now_ms += self.takes_ms
        if self.fault:
            raise self.fault
        return [gala()]


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> SlowReader:
    reader = SlowReader()
    monkeypatch.setattr(streams, "clock_ms", lambda: reader.now_ms)
    return reader


@pytest.mark.parametrize("fault", [None, LedgerFault("busy")])
@pytest.mark.parametrize(
    ("takes_ms", "pause_ms"), [(0, LOOK_MS), (4, LOOK_MS), (8, 200), (30, 750), (90, PAUSE_MAX_MS)]
)
def test_a_stock_that_takes_long_to_read_is_read_less_often(
    reader: SlowReader, takes_ms: int, pause_ms: int, fault: Exception | None
) -> None:
    only_reads: Any = reader
    onlookers = Streams(only_reads, 1, logging.getLogger())
    assert onlookers._look() == LOOK_MS
    reader.takes_ms, reader.fault = takes_ms, fault
    assert onlookers._look() == pytest.approx(pause_ms)
