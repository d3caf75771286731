"""The commands of docs/many-hosts.md, started one after the other as they stand there, sell."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.client import Client
from tests.harness import START_SECONDS, STOP_SECONDS, wait_until
from tests.servers.programs import FLAVOURS, lasting_port, program

PAGE = (Path(__file__).parents[2] / "docs" / "many-hosts.md").read_text()
COMMANDS = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)
ADMIN_KEY = "a-key-for-this-test-only"


@pytest.fixture
def ports() -> dict[str, str]:
    """Free ports, for those that the page names."""
    return {"6379": str(lasting_port()), "8000": str(lasting_port())}


@pytest.fixture
def started(ports: dict[str, str], tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """All that the page starts, in its order; ended in the other."""
    with ExitStack() as stack, (tmp_path / "log").open("ab") as log:
        processes = []
        for command in COMMANDS:
            here = re.sub(r"(?<=[: ])(6379|8000)\b", lambda found: ports[found[0]], command)
            assignments, words = [], shlex.split(here)
            while "=" in words[0]:
                assignments.append(words.pop(0).split("=", 1))
            programs = {"soldout": [sys.executable, "-m", "service"]}
            words[:1] = programs.get(words[0]) or [str(program(FLAVOURS[0]))]
            process = subprocess.Popen(
                words,
                env={**os.environ, "SOLDOUT_ADMIN_KEY": ADMIN_KEY, **dict(assignments)},
                cwd=tmp_path,
                stdout=log,
                stderr=log,
            )
            processes.append(process)
            stack.callback(process.wait, STOP_SECONDS)
            stack.callback(process.kill)
        yield processes


def test_the_pages_commands_sell_on_many_hosts(
    started: list[subprocess.Popen[bytes]], ports: dict[str, str], tmp_path: Path
) -> None:
    assert len(started) == 3
    log = tmp_path / "log"
    wait_until(lambda: "selling at" in log.read_text(), START_SECONDS, log.read_text)
    with Client(f"http://127.0.0.1:{ports['8000']}", admin_key=ADMIN_KEY) as soldout:
        soldout.put_event("gala", capacity=2)
        order = soldout.buy("gala", quantity=2)
        assert [ticket.number for ticket in order.tickets] == [1, 2]
    for process in reversed(started):
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0, log.read_text()
