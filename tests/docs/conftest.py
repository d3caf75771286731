"""What the pages are run against: the demo that `make run` serves, and an operator's host."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from inspect import isfunction
from pathlib import Path

import pytest

from tests.docs.drills import Operator, sections
from tests.harness import START_SECONDS, Soldout, ended, wait_until


@pytest.fixture(scope="session", autouse=True)
def tools() -> None:
    """Miss a program of the pages' before a minute was spent on their services, and by its name."""
    for program in ("curl", "openssl"):
        if shutil.which(program) is None:
            pytest.fail(f"the pages use {program}: apt-get install {program}", pytrace=False)


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


@pytest.fixture(scope="module", autouse=True)
def every_line_is_typed(request: pytest.FixtureRequest) -> Iterator[None]:
    """See to it that a file, when all of its tests run, types each line that it has DRILLED."""
    Operator.typed.clear()
    yield
    drilled: dict[str, tuple[str, ...]] = getattr(request.module, "DRILLED", {})
    running = {item.name for item in request.session.items if item.path == request.path}
    tests = {name for name, found in vars(request.module).items() if isfunction(found)}
    if running >= {name for name in tests if name.startswith("test_")}:
        for page, titles in drilled.items():
            for title in titles:
                left = [line for line in sections(page)[title] if line not in Operator.typed]
                assert not left, f"{page}, {title}: nobody types {left}"


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """An operator whose host has soldout as deploy.md installs it."""
    operator = Operator(tmp_path)
    with ended(operator.service):
        operator.follow("deploy.md", "Install")
        assert operator.service.ready()
        yield operator
