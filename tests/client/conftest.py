"""A scripted server, and clients whose pauses are recorded instead of slept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.client import Client
from tests.client.scripted import Script, playing


class QuickClock:
    """Time that passes only by sleeping, and at once."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def script() -> Iterator[Script]:
    """A server that plays the steps it is given."""
    with playing() as script:
        yield script
        assert not script.steps, f"never asked for: {script.steps}"


@pytest.fixture
def clock() -> QuickClock:
    """What the client believes to be time."""
    return QuickClock()


@pytest.fixture
def client(script: Script, clock: QuickClock) -> Iterator[Client]:
    """A client of the scripted server."""
    with Client(script.url, "secret", clock=clock) as client:
        yield client
