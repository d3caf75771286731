"""The whole load test, as a user starts it: red where the lock is missing, else green."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from loadtest.servers import peer
from tests.harness import free_port, serving
from tests.loadtest.playing import ROOT, Run, run

USERS, SECONDS, TICKETS = 30, 4, 30


def rush(url: str, *arguments: str, admin_key: str = "") -> Run:
    """Play a short rush and return how locust ended and what it said."""
    command = [
        *(sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py")),
        *("--headless", "--only-summary", "--host", url),
        *("-u", str(USERS), "-r", str(USERS), "-t", f"{SECONDS}s", *arguments),
    ]
    return run(command, cwd=ROOT, SOLDOUT_ADMIN_KEY=admin_key)


def verdicts(played: Run) -> dict[str, str]:
    """Return the state of each invariant as it was printed."""
    line = re.compile(r"^  (ok|not asked|NOTHING CHECKED|BREACH) +\d+  ([^:\n]+)", re.MULTILINE)
    return {name: state for state, name in line.findall(played.stdout)}


def test_without_a_lock_the_rush_goes_red_and_says_what_was_oversold() -> None:
    with peer("no_lock", "--capacity", str(TICKETS)) as server:
        played = rush(server.url)
    assert played.returncode == 1, played.stdout + played.stderr
    assert verdicts(played)["nothing is oversold"] == "BREACH"
    assert verdicts(played)["no ticket number is sold twice"] == "BREACH"
    told = re.search(r"general: (\d+) tickets told to buyers, capacity 30", played.stdout)
    assert told is not None
    assert int(told[1]) > TICKETS


def test_with_its_lock_the_same_program_is_green() -> None:
    with peer("file_lock", "--capacity", str(TICKETS)) as server:
        played = rush(server.url)
    assert played.returncode == 0, played.stdout + played.stderr
    assert set(verdicts(played).values()) == {"ok", "not asked"}
    assert f"{USERS} total users" in played.stderr


def test_soldout_is_green_and_everything_is_checked_by_all_of_locusts_processes(
    tmp_path: Path,
) -> None:
    with serving(tmp_path / "data") as service:
        played = rush(service.url, "--processes", "2", admin_key=service.admin_key)
        events = service.admin("GET", "/remaining").json()["events"]
    assert played.returncode == 0, played.stdout + played.stderr
    assert len(verdicts(played)) == 19
    assert set(verdicts(played).values()) == {"ok"}
    assert re.search(r"ok +2  every client was heard", played.stdout)
    assert [event["status"] for event in events] == ["closed"]


def test_a_server_that_is_not_there_is_no_success() -> None:
    played = rush(f"http://127.0.0.1:{free_port()}")
    assert played.returncode == 2
    assert "Nothing to test" in played.stderr


def test_a_wrong_admin_key_is_named(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        played = rush(service.url, admin_key="not-the-key")
    assert played.returncode == 2
    assert "set SOLDOUT_ADMIN_KEY" in played.stderr
