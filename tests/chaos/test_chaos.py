"""The chaos, for as long as CI can wait; and that it sees what is wrong with a service."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import SEED, alive, children_of, note, title_of, wait_until

ROOT = Path(__file__).parents[2]
PLANTED = Path(__file__).with_name("planted")
SECONDS = 80
END_SECONDS = 60


@contextmanager
def chaos(*arguments: str, planted: str = "") -> Iterator[subprocess.Popen[str]]:
    """Start a chaos for a `with` block; it ends with it."""
    paths = [str(PLANTED / planted)] * bool(planted) + [str(ROOT)]
    command = [sys.executable, "-m", "tests.chaos", *arguments]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(END_SECONDS)


def outcome(*arguments: str, planted: str = "") -> tuple[int, str]:
    with chaos(*arguments, planted=planted) as process:
        said, _ = process.communicate()
        note(said)
        return process.returncode, said


def number_of(said: str, row: str) -> int:
    found = re.search(rf"^{row} +([\d,]+)$", said, re.MULTILINE)
    assert found, said
    return int(found[1].replace(",", ""))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("side", ["embedded", "redis"])
def test_nothing_is_lost_oversold_or_doubled_whatever_breaks(side: str) -> None:
    status, said = outcome("--seconds", str(SECONDS), "--seed", str(SEED), "--side", side)
    assert status == 0
    assert f"RIGHT: --seed {SEED}" in said
    assert number_of(said, "faults") > 10
    assert number_of(said, "purchases confirmed") > 1_000
    assert number_of(said, "purchases never settled") == 0


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("side", "planted", "row"),
    [("embedded", "answers_first", "lost"), ("redis", "oversells", "oversold")],
)
def test_a_planted_bug_is_seen(side: str, planted: str, row: str) -> None:
    arguments = ("--seconds", "30", "--seed", str(SEED), "--side", side)
    status, said = outcome(*arguments, planted=planted)
    assert status == 1
    assert number_of(said, row) > 0
    assert f"WRONG: --seed {SEED}" in said


@pytest.mark.parametrize(
    ("side", "number"), [("embedded", signal.SIGINT), ("redis", signal.SIGTERM)]
)
def test_who_interrupts_it_leaves_no_process_behind(
    side: str, number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with chaos("--seconds", "60", "--seed", str(SEED), "--side", side) as process:
        wait_until(lambda: has_a_crowd(process.pid), 40, "everything is started")
        started = descendants_of(process.pid)
        process.send_signal(number)
        said, _ = process.communicate(timeout=END_SECONDS)
    assert process.returncode == 130, said
    assert len(started) > 7
    assert [title_of(pid) for pid in started if alive(pid)] == []
    assert list(tmp_path.iterdir()) == []


def has_a_crowd(pid: int) -> bool:
    return any("tests.chaos.crowd" in title_of(child) for child in children_of(pid))


def descendants_of(pid: int) -> list[int]:
    below = children_of(pid)
    return below + [grandchild for child in below for grandchild in descendants_of(child)]
