"""Every command of the README's part on Docker, one after the other, as a reader runs them."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.compose.engine import ROOT, compose_command
from tests.compose.stack import Stack

pytestmark = [pytest.mark.compose, pytest.mark.long, pytest.mark.timeout(300)]

SECTION = re.search(r"(?ms)^## With Docker\n(.*?)^## ", (ROOT / "README.md").read_text())
COMMANDS = [
    line
    for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", SECTION[1] if SECTION else "")
    for line in block.splitlines()
]


def test_the_readmes_commands_do_what_they_say(stack: Stack) -> None:
    stack.remove()
    assert len(COMMANDS) >= 5
    said = {command: stack.engine.run("bash", "-c", here(command, stack)) for command in COMMANDS}
    bought = [answer for command, answer in said.items() if "/buy" in command]
    assert all("HTTP/1.1 201" in answer for answer in bought)
    assert len(bought) >= 1
    assert "/problems/" not in "".join(said.values())
    assert "\nRIGHT\n" in next(answer for command, answer in said.items() if "loadtest" in command)


def here(command: str, stack: Stack) -> str:
    """The README's command, with this machine's port and Compose."""
    command = command.replace("docker compose", shlex.join(compose_command()))
    return command.replace("127.0.0.1:8000", f"127.0.0.1:{stack.service.port}")
