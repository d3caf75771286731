"""A thousand sales under faults, each drawn from one seed; and that such a run would find a bug.

Each run is in a process of its own kind (`python -m tests.simulation`), which replaces clocks, the
disk and the network for itself only. `make simulate SEED=… LEDGER=…` tells one again step by step.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import SEED, note
from tests.simulation.planted import PLANTS

ROOT = Path(__file__).parents[2]
ON_ONE_HOST, ON_MANY_HOSTS = 800, 250  # seeds; together some 60 s of CPU time
TRIED = 600  # seeds at most, until a planted bug is found; the rarest needs some 250
LONG = 300  # seeds on each, from one that nobody chose

pytestmark = pytest.mark.timeout(900)  # for a machine that does ten other things


def begin(*arguments: str | int) -> subprocess.Popen[str]:
    """Start a simulation."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.simulation", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": "random"},
    )


def end(*simulations: subprocess.Popen[str]) -> str:
    """Wait for simulations that began together, and return what they told."""
    told = [simulation.communicate()[0] for simulation in simulations]
    note("\n".join(told))
    assert [simulation.returncode for simulation in simulations] == [0] * len(told), "".join(told)
    return "".join(told)


def seeds(told: str) -> int:
    """Return how many seeds were run, if none failed."""
    lines = re.findall(r"^(\d+) seeds.* 0 failed", told, re.MULTILINE)
    return int(lines[-1]) if lines else 0


def traces(told: str) -> list[str]:
    """Return the hash of all that happened, of each run."""
    return re.findall(r"trace='([0-9a-f]{32})'", told)


def test_a_thousand_sales_under_faults_keep_every_promise() -> None:
    one_host = begin("--ledger", "sqlite", "--count", ON_ONE_HOST)
    many_hosts = begin("--ledger", "model", "--count", ON_MANY_HOSTS)
    told = end(one_host), end(many_hosts)
    assert [seeds(text) for text in told] == [ON_ONE_HOST, ON_MANY_HOSTS]


@pytest.mark.long
def test_thousands_of_sales_that_nobody_chose_keep_every_promise() -> None:
    first = SEED * 10_000
    runs = [
        begin("--ledger", ledger, "--first", first, "--count", LONG)
        for ledger in ("sqlite", "model")
    ]
    for run in runs:
        assert seeds(end(run)) == LONG


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    """To the byte of each write and each reply; or a failure could not be looked at again."""
    for ledger in ("sqlite", "model", "redis"):
        told = [end(begin("--ledger", ledger, "--seed", 4, "--quiet")) for _ in range(2)]
        assert len(traces(told[0])) == 1
        assert traces(told[0]) == traces(told[1])


def test_make_replays_the_seed_that_a_failure_names() -> None:
    told = subprocess.run(
        ["make", "--dry-run", "simulate", "SEED=4", "LEDGER=model"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "-m tests.simulation --seed 4 --ledger model" in told


def test_another_seed_gives_another_run() -> None:
    told = [end(begin("--ledger", "sqlite", "--seed", seed, "--quiet")) for seed in (4, 5)]
    assert traces(told[0]) != traces(told[1])


def test_a_real_redis_does_on_every_schedule_what_its_model_does() -> None:
    """Each reply of the server, as far as it is promised, is part of a run's trace."""
    runs = [begin("--ledger", ledger, "--count", 40, "--traces") for ledger in ("redis", "model")]
    told = [traces(end(run)) for run in runs]
    assert len(told[0]) == 40
    assert told[0] == told[1]


def test_each_planted_bug_is_found() -> None:
    """The table in docs/simulation.md is made by the same command, without `--until-found`."""
    told = "".join(
        end(begin("--planted", "--ledger", ledger, "--until-found", "--count", TRIED))
        for ledger in ("sqlite", "model")
    )
    for plant in PLANTS:
        [row] = re.findall(rf"^\| {re.escape(plant.name)} \|.*$", told, re.MULTILINE)
        assert int(row.split("|")[3]) > 0, row


def test_without_a_lock_that_holds_the_fencing_token_still_keeps_the_ledger_right() -> None:
    """What the token is for: two believe that they have the lock, and the ledger refuses one."""
    told = end(begin("--ledger", "sqlite", "--count", 60, "--lock-lets-two-in"))
    assert seeds(told) == 60
