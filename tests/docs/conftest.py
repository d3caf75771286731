"""What the pages are run against: the demo that `make run` serves, and an operator's host."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.drills import Operator
from tests.harness import START_SECONDS, Soldout, ended, wait_until


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soldout]:
    service = Soldout(tmp_path_factory.mktemp("demo") / "data")
    del service.env["SOLDOUT_ADMIN_KEY"]  # as at home: made at the first start
    with service.log_path.open("ab") as log:
        service.process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve", "--demo"],
            env=service.env,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: "curl" in service.log(), START_SECONDS, "the demo is on sale")
        yield service
    finally:
        service.terminate()


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """An operator whose host has soldout as deploy.md installs it."""
    operator = Operator(tmp_path)
    with ended(operator.service):
        operator.follow("deploy.md", "Install")
        assert operator.service.ready()
        yield operator
