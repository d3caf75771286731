"""Every command and every snippet of the README, run against the demo that `make run` serves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.harness import START_SECONDS, Soldout, wait_until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = [
    line.removeprefix("$ ")
    for block in blocks("console")
    for line in block.splitlines()
    if line.startswith("$ ")
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soldout]:
    service = Soldout(tmp_path_factory.mktemp("readme") / "data")
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


def at_home(text: str, demo: Soldout) -> str:
    """The README's words, with this machine's port and programs for those that it names."""
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{demo.port}")
    text = text.replace("data/admin-key", str(demo.data_dir / "admin-key"))
    return text.replace(".venv/bin/soldout", f"{sys.executable} -m service")


def test_there_is_something_to_run() -> None:
    assert len(COMMANDS) >= 8
    assert blocks("python")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readmes_command_does_what_it_says(command: str, demo: Soldout) -> None:
    done = subprocess.run(
        ["bash", "-c", at_home(command, demo)],
        env={**os.environ, **demo.env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "/problems/" not in done.stdout
    if "/buy" in command:
        assert done.stdout.startswith("HTTP/1.1 201")
        assert '"status":"sold"' in done.stdout


@pytest.mark.parametrize("snippet", blocks("python"))
def test_the_readmes_python_runs(snippet: str, demo: Soldout) -> None:
    done = subprocess.run(
        [sys.executable, "-c", at_home(snippet, demo)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "[" in done.stdout


@pytest.mark.parametrize("body", [line for block in blocks("json") for line in block.splitlines()])
def test_the_readmes_bodies_are_understood(body: str, demo: Soldout) -> None:
    key = (demo.data_dir / "admin-key").read_text().strip()
    demo.admin_key = key
    demo.put_event(
        "gala", ticket_types=[{"id": "standing", "capacity": 50}, {"id": "vip", "capacity": 9}]
    )
    answer = requests.post(
        f"{demo.url}/buy", body, headers={"Content-Type": "application/json"}, timeout=30
    )
    wanted = 201 if "items" in body else 422  # the short form needs an event with one ticket type
    assert answer.status_code == wanted, answer.text
