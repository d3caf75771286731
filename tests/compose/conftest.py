"""The stack that docker-compose.yml describes, in real containers, shared by the tests in here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compose.engine import Engine, running_engine
from tests.compose.stack import Stack


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A Docker engine of our own."""
    with running_engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def running(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack as `up` brings it up; nothing of it is left afterwards."""
    stack = Stack(engine, tmp_path_factory.mktemp("compose"))
    try:
        engine.compose("build")
        stack.up()
        yield stack
    finally:
        stack.remove()


@pytest.fixture
def stack(running: Stack) -> Stack:
    """The stack, selling, whatever the last test did to it; tests use events of their own."""
    if not running.service.ready():
        running.up()
    return running
