"""What the log says of faults that are met again and again."""

from __future__ import annotations

import logging

import pytest

from workers import complaints
from workers.complaints import MANY_EVERY_MS, TOLD_APART_MAX, Complaints

log = logging.getLogger(__name__)


class Clock:
    """A clock that a test moves."""

    ms = 50

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(complaints, "clock_ms", clock)
    return clock


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return lines


@pytest.mark.usefixtures("clock")
def test_a_fault_is_said_once_however_often_it_is_met(caplog: pytest.LogCaptureFixture) -> None:
    found = Complaints(log)
    for count in (3, 1, 7):
        found.say("a batch of %d is not settled: %s", count, OSError("no space"))
    assert said(caplog) == ["a batch of 3 is not settled: no space"]
    assert found.fault == "no space"


def test_faults_that_come_in_turns_are_each_said_once(caplog: pytest.LogCaptureFixture) -> None:
    found = Complaints(log)
    for _ in range(10):
        found.say("%s", "refused")
        found.say("%s", "timed out")
    assert said(caplog) == ["refused", "timed out"]
    assert found.fault == "timed out"


def test_words_that_differ_each_time_fill_no_log(
    caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    found = Complaints(log, again_ms=1_000)
    for count in range(1_000):
        found.say("%s", f"row {count} is damaged")
        clock.ms += 1
    assert len(said(caplog)) == TOLD_APART_MAX
    clock.ms += MANY_EVERY_MS
    found.say("%s", "row 7 is damaged")
    found.say("%s", "no space")
    assert said(caplog) == ["row 7 is damaged", "no space"]


@pytest.mark.usefixtures("clock")
def test_what_is_over_is_said_once_and_may_begin_anew(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    found = Complaints(log)
    found.over("it works again")
    assert not said(caplog)
    found.say("%s", "refused")
    found.over("it works again")
    found.over("it works again")
    assert said(caplog) == ["refused", "it works again"]
    assert found.fault == ""
    found.say("%s", "refused")
    assert said(caplog) == ["refused"]


def test_where_nobody_can_tell_when_it_is_over_it_is_said_now_and_then(
    caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    found = Complaints(log, again_ms=5_000)
    for _ in range(100):
        found.say("%s", "no space")
        clock.ms += 100
    assert said(caplog) == ["no space"] * 2
