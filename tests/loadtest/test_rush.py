"""The whole load test, as a user starts it: red where the lock is missing, else green."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.servers import peer
from tests.harness import free_port, serving

ROOT = Path(__file__).parents[2]
USERS, SECONDS, TICKETS = 30, 4, 30
LIMIT_SECONDS = 60

Run = subprocess.CompletedProcess[str]


def rush(url: str, *arguments: str, admin_key: str = "") -> Run:
    """Play a short rush and return how locust ended and what it said."""
    command = [
        *(sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py")),
        *("--headless", "--only-summary", "--host", url),
        *("-u", str(USERS), "-r", str(USERS), "-t", f"{SECONDS}s", *arguments),
    ]
    return run(command, cwd=ROOT, SOLDOUT_ADMIN_KEY=admin_key)


def run(command: list[str], cwd: Path, **variables: str) -> Run:
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        env=os.environ | variables,
        timeout=LIMIT_SECONDS,
    )


def verdicts(played: Run) -> dict[str, str]:
    """Return the state of each invariant as it was printed."""
    line = re.compile(r"^  (ok|not asked|NOTHING CHECKED|BREACH) +\d+  ([^:\n]+)", re.MULTILINE)
    return {name: state for state, name in line.findall(played.stdout)}


def processes_in(folder: Path) -> list[str]:
    """Return the processes whose working directory is `folder`."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink() == folder:
                found.append(link.parent.name)
        except OSError:  # it ended, or it is a zombie
            continue
    return found


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
    assert played.returncode == 0, played.stdout + played.stderr
    assert len(verdicts(played)) == 19
    assert set(verdicts(played).values()) == {"ok"}
    assert re.search(r"ok +2  every client was heard", played.stdout)


def test_one_command_serves_soldout_plays_the_rush_and_leaves_nothing_running(
    tmp_path: Path,
) -> None:
    played = run(
        [sys.executable, "-m", "loadtest", "--users", "20", "--seconds", "4"],
        cwd=tmp_path,
        PYTHONPATH=str(ROOT),
        SOLDOUT_LOADTEST_SEED="4242",
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert "about 9 s in all. SOLDOUT_LOADTEST_SEED=4242" in played.stdout
    assert played.stdout.rstrip().splitlines()[-1].startswith("reports/loadtest.html ")
    assert played.stderr == ""
    assert "<html" in (tmp_path / "reports" / "loadtest.html").read_text()
    assert "WARNING" not in (tmp_path / "reports" / "loadtest.log").read_text()
    numbers = json.loads((tmp_path / "reports" / "loadtest.json").read_text())
    assert [(run["server"], run["passed"], run["seed"]) for run in numbers["runs"]] == [
        ("soldout", True, 4242)
    ]
    assert "SOLDOUT_LOADTEST_SEED=4242 " in numbers["command"]
    assert processes_in(tmp_path) == []


def test_on_a_terminal_a_line_says_how_far_it_is(tmp_path: Path) -> None:
    """Under `script`, which gives it a terminal."""
    command = f"{sys.executable} -m loadtest --users 10 --seconds 3"
    played = run(["script", "-qec", command, "/dev/null"], cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert re.search(r"soldout [█·]{30} \d of 3 s, (quiet|rush)", played.stdout)


def test_with_the_server_named_its_words_are_handed_on(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "loadtest", "--host", url, "--seconds", "3"]
    played = run(command, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert played.returncode == 2
    assert "Nothing to test" in played.stderr
    assert not (tmp_path / "reports" / "loadtest.html").exists()


@pytest.mark.parametrize("variable", ["SOLDOUT_LOADTEST_SEED", "SOLDOUT_LOADTEST_CAPACITY"])
def test_a_number_that_is_none_is_named(variable: str, tmp_path: Path) -> None:
    played = run(
        [sys.executable, "-m", "loadtest"],
        cwd=tmp_path,
        PYTHONPATH=str(ROOT),
        **{variable: "many"},
    )
    assert played.returncode == 2
    assert f"{variable}=many is not a whole number" in played.stderr


def test_a_server_that_is_not_there_is_no_success() -> None:
    played = rush(f"http://127.0.0.1:{free_port()}")
    assert played.returncode == 2
    assert "Nothing to test" in played.stderr


def test_a_wrong_admin_key_is_named(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as service:
        played = rush(service.url, admin_key="not-the-key")
    assert played.returncode == 2
    assert "set SOLDOUT_ADMIN_KEY" in played.stderr


@pytest.mark.parametrize("host", ["http://192.0.2.1:8000", "127.0.0.1:8000", "http://"])
def test_only_this_machine_is_ever_loaded(host: str) -> None:
    played = run([sys.executable, "-m", "loadtest", "--host", host], cwd=ROOT)
    assert played.returncode == 2
    assert "is not http://… on this machine" in played.stderr
