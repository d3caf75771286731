"""Fixtures that every kind of test may ask for."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests import switched
from tests.harness import SEED, Soldout, serving

switched.install()  # before any test opens a ledger in this process
# A shell that starts the tests in the background has them ignore Ctrl-C, and all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Machines are busy: how long an example takes says nothing of it.
settings.register_profile(
    "busy", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("busy")

pytest_plugins = ["tests.servers.fixtures"]


def pytest_report_header() -> str:
    """Say how the same random choices can be made again."""
    return f"SOLDOUT_TEST_SEED={SEED}"


@pytest.fixture(scope="module")
def soldout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soldout]:
    """A running service, shared by the tests of one file; each test uses events of its own."""
    with serving(tmp_path_factory.mktemp("soldout") / "data") as service:
        yield service
