"""What takes over a second says how far it is, on a terminal only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from service.cli.progress import line
from tests.cli.terminal import Terminal
from tests.harness import serving, wait_until

SLOW = """
import sys
from service.cli.progress import progress
with progress("copying", lambda: 0.5):
    sys.stdin.readline()
print("done")
"""


def test_a_terminal_shows_how_far_it_is_and_then_the_result_alone() -> None:
    with Terminal([sys.executable, "-c", SLOW]) as terminal:
        wait_until(lambda: "50%" in terminal.written(), 20, terminal.written)
        terminal.type("\n")
        assert terminal.process.wait(20) == 0
        shown = terminal.written().replace("\r\n", "\n")
    assert "copying [###############...............]  50%" in shown
    assert shown.rpartition("\x1b[K")[2] == "done\n"


def test_cancelling_says_how_far_it_is_and_then_each_order_in_a_line(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        service.put_event("gala", capacity=4)
        ids = [service.buy("gala", 2).json()["id"] for _ in range(2)]
        for worker in service.family()["worker"]:
            os.kill(worker, signal.SIGSTOP)  # which others replace after a while
        words = [sys.executable, "-m", "service", "order", "cancel", *ids]
        with Terminal(words, service.env) as terminal:
            wait_until(lambda: "cancelling [....." in terminal.written(), 20, terminal.written)
            assert terminal.process.wait(30) == 0
            last = terminal.written().replace("\r\n", "\n").rpartition("\x1b[K")[2]
    assert last == "".join(f"cancelled: order {i}, 2 tickets of gala, free\n" for i in ids)


def test_nothing_is_shown_where_there_is_no_terminal() -> None:
    slow = SLOW.replace("sys.stdin.readline()", "import time; time.sleep(1.5)")
    done = subprocess.run([sys.executable, "-c", slow], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_of_what_nobody_can_tell_the_end_the_time_is_told() -> None:
    assert line("auditing gala", None, 3.4) == "auditing gala … 3 s"
    assert line("copying", 1.2, 3) == f"copying [{'#' * 30}] 100%"
