"""The queue is bounded, waits end, and what is past its deadline is never sold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest
import requests

from tests.faults.crowd import Attempt, Fate, Line, Wish
from tests.faults.stopping import standing_still
from tests.harness import Soldout, serving, wait_until
from workers.hearts import wall_ms

WAIT_SECONDS = 1.5
DEADLINE_SECONDS = 3.0
IN_FLIGHT_MAX = 8


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Soldout]:
    """One worker and one web process: whatever is asked later is settled later."""
    with serving(
        tmp_path / "data",
        workers=1,
        web_processes=1,
        wait_seconds=WAIT_SECONDS,
        deadline_seconds=DEADLINE_SECONDS,
        max_in_flight=IN_FLIGHT_MAX,
    ) as service:
        service.put_event("gala", capacity=100)
        yield service


@contextmanager
def nobody_settling(service: Soldout) -> Iterator[None]:
    """Stop the worker, and the supervisor first, which would otherwise replace it."""
    with standing_still(service.pid, *service.family()["worker"]):
        yield


def wishes(count: int, name: str) -> list[Wish]:
    return [Wish(f"{name:-<16}{number}", "gala", 1) for number in range(count)]


def send(service: Soldout, stack: ExitStack, wanted: list[Wish]) -> list[tuple[Line, Attempt]]:
    lines = [stack.enter_context(Line(service.port)) for _ in wanted]
    return [(line, line.send(w.request())) for line, w in zip(lines, wanted, strict=True)]


def expires_at_ms(pending: Attempt) -> float:
    body = msgspec.json.encode(pending.said["expires_at"])
    return msgspec.json.decode(body, type=msgspec.Raw) and _moment_ms(pending.said["expires_at"])


def _moment_ms(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp() * 1000
