"""Every command and every snippet of the README, run against the demo that `make run` serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.docs.snippets import Block, Step, at_home, blocks, commands, differs, install
from tests.harness import Soldout

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


COMMANDS = [step for block in blocks(README, "console") for step in commands(block)]
BODIES = [line for block in blocks(README, "json") for line in block.text.splitlines()]


def test_there_is_something_to_run() -> None:
    assert len(COMMANDS) >= 8
    assert blocks(README, "python")


@pytest.mark.parametrize("step", COMMANDS, ids=lambda step: step.command)
def test_the_readmes_command_does_what_it_says(step: Step, demo: Soldout, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", at_home(step.command, demo)],
        env=install(tmp_path, demo.env),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "/problems/" not in done.stdout
    if step.shows:
        assert not differs(step.shows, f"{done.stdout}\n")


@pytest.mark.parametrize("snippet", blocks(README, "python"))
def test_the_readmes_python_runs(snippet: Block, demo: Soldout) -> None:
    done = subprocess.run(
        [sys.executable, "-c", at_home(snippet.text, demo)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "[" in done.stdout


@pytest.mark.parametrize("body", BODIES)
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
