"""The commands of docs/many-hosts.md, one after the other as they stand there, sell."""

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
STARTED = 3  # the first ones stay; the others are typed when these sell
SETTINGS = {name: text for name, text in os.environ.items() if not name.startswith("SOLDOUT_")}
PROGRAMS = {
    "redis-server": [str(program(FLAVOURS[0]))],
    ".venv/bin/soldout": [sys.executable, "-m", "service"],
}


@pytest.fixture
def ports() -> dict[str, str]:
    """Free ports, for those that the page names."""
    return {"6379": str(lasting_port()), "8001": str(lasting_port())}


def as_typed(command: str, ports: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return a command's words and settings, with this machine's ports and programs."""
    here = re.sub(r"(?<=[: ])(6379|8001)\b", lambda found: ports[found[0]], command)
    settings, words = dict(SETTINGS), shlex.split(here)
    while "=" in words[0]:
        name, _, text = words.pop(0).partition("=")
        settings[name] = text
    words[:1] = PROGRAMS[words[0]]
    return words, settings


@pytest.fixture
def started(ports: dict[str, str], tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """All that the page starts, in its order; ended in the other."""
    with ExitStack() as stack, (tmp_path / "log").open("ab") as log:
        processes = []
        for command in COMMANDS[:STARTED]:
            words, env = as_typed(command, ports)
            process = subprocess.Popen(words, env=env, cwd=tmp_path, stdout=log, stderr=log)
            processes.append(process)
            stack.callback(process.wait, STOP_SECONDS)
            stack.callback(process.kill)
        yield processes


def test_the_pages_commands_sell_on_many_hosts(
    started: list[subprocess.Popen[bytes]], ports: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    wait_until(lambda: "selling at" in log.read_text(), START_SECONDS, log.read_text)
    typed = [as_typed(command, ports) for command in COMMANDS[STARTED:]]
    assert [words[3] for words, _ in typed] == ["event", "buy"]
    for words, env in typed:
        done = subprocess.run(
            words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
    with Client(f"http://127.0.0.1:{ports['8001']}") as soldout:
        order = soldout.buy("gala", quantity=2)
        assert [ticket.number for ticket in order.tickets] == [3, 4]
    for process in reversed(started):
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0, log.read_text()
