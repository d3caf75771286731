"""`Server-Timing`: where a purchase's time went, for who asks."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest
import requests

from tests.e2e.conftest import Visitor
from tests.harness import serving

NUMBER = r"(\d+\.\d{3})"
TIMING = re.compile(rf"queue;dur={NUMBER}, worker;dur={NUMBER}, total;dur={NUMBER}")


def times(answer: requests.Response) -> list[float]:
    found = TIMING.fullmatch(answer.headers["Server-Timing"])
    assert found, answer.headers["Server-Timing"]
    return [float(number) for number in found.groups()]


def test_who_asks_is_told_where_the_time_went(visitor: Visitor, small: str) -> None:
    for quantity, status in ((2, 201), (2, 409)):
        answer = visitor.post("/buy", {"event": small, "quantity": quantity}, X_Server_Timing="1")
        assert answer.status_code == status
        queue, worker, total = times(answer)
        assert queue >= 0
        assert worker > 0
        assert queue + worker <= total


def test_who_does_not_ask_is_not_told(visitor: Visitor, small: str) -> None:
    answer = visitor.post("/buy", {"event": small, "quantity": 1})
    assert "Server-Timing" not in answer.headers


def test_what_is_not_settled_yet_has_only_a_total(visitor: Visitor, small: str) -> None:
    answer = visitor.post(
        "/buy", {"event": small, "quantity": 1}, X_Server_Timing="1", Prefer="respond-async"
    )
    assert answer.status_code == 202
    assert re.fullmatch(f"total;dur={NUMBER}", answer.headers["Server-Timing"])


@pytest.mark.parametrize(("setting", "asked", "told"), [("always", "", True), ("off", "1", False)])
def test_the_settings_may_decide_it(tmp_path: Path, setting: str, asked: str, told: bool) -> None:
    with serving(tmp_path / "data", server_timing=setting) as service:
        service.put_event("gala", capacity=1)
        visitor = Visitor(service.url)
        headers = {"X_Server_Timing": asked} if asked else {}
        answer = visitor.post("/buy", {"event": "gala", "quantity": 1}, **headers)
        assert ("Server-Timing" in answer.headers) is told
        visitor.session.close()


def test_a_trace_changes_nothing_in_the_answer(visitor: Visitor, small: str) -> None:
    trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    answer = visitor.post("/buy", {"event": small, "quantity": 1}, Traceparent=trace)
    assert answer.status_code == 201
    assert trace.split("-")[1] not in str(answer.headers) + answer.text
