"""What tests of faults start from: a service that runs, whatever the last test did to it."""

from __future__ import annotations

import secrets

import pytest

from tests.faults.crowd import FEW, PLENTY
from tests.harness import Soldout


@pytest.fixture
def service(soldout: Soldout) -> Soldout:
    """The file's service, started again if it was left dead; tests use events of their own."""
    assert soldout.process is not None
    if soldout.process.poll() is not None:
        soldout.start()
    return soldout


@pytest.fixture
def stadium(service: Soldout) -> str:
    """An event with more tickets than any crowd buys."""
    return put(service, "stadium", PLENTY)


@pytest.fixture
def club(service: Soldout) -> str:
    """An event that any crowd sells out."""
    return put(service, "club", FEW)


def put(service: Soldout, name: str, capacity: int) -> str:
    event = f"{name}-{secrets.token_hex(4)}"
    service.put_event(event, capacity=capacity)
    return event
