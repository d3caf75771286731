"""`make loadtest`, as a user starts it: what it says and leaves, and when it does not begin."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.harness import Soldout, ended, free_port, wait_until
from tests.loadtest.playing import ROOT, run


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
    page = tmp_path / "reports" / "loadtest.html"
    assert played.stdout.rstrip().splitlines()[-1] == page.as_uri()
    assert played.stderr == ""
    assert "<html" in page.read_text()
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


def test_ctrl_c_ends_all_of_it_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loadtest", "--seconds", "60"]
    playing = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    log = tmp_path / "reports" / "loadtest.log"
    try:
        wait_until(lambda: log.exists() and "tickets of rush" in log.read_text(), 60, "it plays")
        os.killpg(playing.pid, signal.SIGINT)
        said = playing.communicate(timeout=60)[1]
    finally:
        playing.kill()
    assert playing.returncode == 2
    assert said == "\nStopped before its end: nothing is judged.\n"
    assert processes_in(tmp_path) == []


def test_a_crowd_comes_to_the_service_that_runs_with_the_key_from_its_directory(
    tmp_path: Path,
) -> None:
    command = ["make", "--dry-run", "--silent", "--old-file", ".venv/.dev", "crowd"]
    typed = run([*command, "ARGS=--users 20 --seconds 4"], cwd=ROOT, SOLDOUT_URL="http://[::1]:9")
    assert " --host http://[::1]:9 " in typed.stdout
    _, *words = shlex.split(typed.stdout)
    with ended(Soldout(tmp_path / "data")) as service:
        del service.env["SOLDOUT_ADMIN_KEY"]  # it makes one of its own, in data/
        service.start()
        words = [service.url if word == "http://[::1]:9" else word for word in words]
        played = run([sys.executable, *words], cwd=tmp_path, PYTHONPATH=str(ROOT))
        assert played.returncode == 0, played.stdout + played.stderr
        left = requests.get(f"{service.url}/remaining", timeout=5).json()
    assert [event["event"].partition("-")[0] for event in left["events"]] == ["rush"]
    assert played.stdout.rstrip().endswith("/reports/loadtest.html")


def test_where_nobody_listens_it_says_how_to_start_the_service(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "loadtest", "--host", url, "--seconds", "3"]
    played = run(command, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert played.returncode == 2
    assert played.stderr == f"Nobody listens at {url}. `make run` starts the service.\n"


def test_what_the_named_server_refuses_is_handed_on(tmp_path: Path) -> None:
    with ended(Soldout(tmp_path / "data")) as service:
        service.start()
        command = [sys.executable, "-m", "loadtest", "--host", service.url, "--seconds", "3"]
        played = run(command, cwd=tmp_path, PYTHONPATH=str(ROOT), SOLDOUT_ADMIN_KEY="0" * 32)
    assert played.returncode == 2
    assert "Nothing to test: the administration refuses our key" in played.stderr
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


@pytest.mark.parametrize("host", ["http://192.0.2.1:8000", "127.0.0.1:8000", "http://"])
def test_only_this_machine_is_ever_loaded(host: str) -> None:
    played = run([sys.executable, "-m", "loadtest", "--host", host], cwd=ROOT)
    assert played.returncode == 2
    assert "is not http://… on this machine" in played.stderr
