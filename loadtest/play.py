"""Plays one rush: locust against one server, and how far it has come on a terminal meanwhile.

In: the server, the `Rush`, and a file for locust's own words. Out: the `Run` that it was.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from loadtest.figures import Run
from loadtest.page import name as name_of
from loadtest.servers import Server, end
from loadtest.shapes import act_at

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
POLL_SECONDS = 0.25
BAR = 30  # characters


class NotPlayedError(RuntimeError):
    """There was no run to judge; the text says why, in locust's words."""


class Rush(NamedTuple):
    """How large, how long, and from which seed."""

    users: int
    seconds: int
    processes: int
    seed: int
    tickets: int


def play(name: str, server: Server, rush: Rush, log_path: Path) -> Run:
    """Run locust without its page and return what came of it. Raises NotPlayedError."""
    with tempfile.TemporaryDirectory(prefix="soldout-loadtest-") as folder:
        run_path = Path(folder, "run.json")
        with log_path.open("ab") as log:
            begins_at = log.tell()
            locust = subprocess.Popen(
                command_of(server, rush),
                env=os.environ | settings_of(server, rush, run_path),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                follow(locust, name_of(name), rush)
            finally:
                end(locust)
        if not run_path.exists():
            raise NotPlayedError(complaint(log_path.read_bytes()[begins_at:].decode()))
        run = msgspec.json.decode(run_path.read_bytes(), type=Run)
    return msgspec.structs.replace(run, server=name)


def command_of(server: Server, rush: Rush) -> list[str]:
    """Return what starts locust; all clients of an act come at once."""
    return [
        *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"),
        *("-u", str(rush.users), "-r", str(rush.users), "-t", f"{rush.seconds}s"),
        *("--host", server.url),
        *(("--processes", str(rush.processes)) if rush.processes else ()),
    ]


def settings_of(server: Server, rush: Rush, run_path: Path) -> dict[str, str]:
    """Return what locust is told in its environment."""
    return {
        "SOLDOUT_ADMIN_KEY": server.admin_key,
        "SOLDOUT_LOADTEST_SEED": str(rush.seed),
        "SOLDOUT_LOADTEST_CAPACITY": str(rush.tickets),
        "SOLDOUT_LOADTEST_RUN": str(run_path),
    }


def follow(locust: subprocess.Popen[bytes], name: str, rush: Rush) -> None:
    """Wait for locust's end; on a terminal, say in one line how far it is."""
    began_at, watched = time.monotonic(), sys.stderr.isatty()
    while locust.poll() is None:
        if watched:
            line = progress(name, time.monotonic() - began_at, rush.seconds)
            print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)
        time.sleep(POLL_SECONDS)
    if watched:
        print("\r\x1b[2K", end="", file=sys.stderr, flush=True)


def progress(name: str, elapsed_seconds: float, run_seconds: float) -> str:
    """Return a line that says how far a run is; locust takes a moment before it begins."""
    act = act_at(elapsed_seconds, run_seconds)
    share = min(elapsed_seconds / run_seconds, 1.0)
    bar = ("█" * round(share * BAR)).ljust(BAR, "·")
    what = act.name if act else "comparing what was told with the books"
    return f"{name:>14} {bar} {min(elapsed_seconds, run_seconds):.0f} of {run_seconds} s, {what}"


def complaint(said: str) -> str:
    """Return locust's lines of errors, or all of its last ones."""
    lines = said.splitlines()
    return "\n".join([line for line in lines if "/ERROR/" in line] or lines[-20:])
