"""schemathesis reads the document and asks the running service: all its checks find nothing.

Examples, boundaries, random requests good and bad, and sequences along the links, with and without
the administration's key.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.harness import SEED, Soldout, note, serving
from tests.openapi.rules import MANY_TYPES, NEXT_DOOR, ONE_TYPE, TYPES

ROOT = Path(__file__).parents[2]
FEW, MANY = 10, 60  # of each operation
ENDLESS = "streamRemaining"  # an answer that never ends is not waited for


def run(soldout: Soldout, folder: Path, *arguments: str) -> str:
    """Let schemathesis loose on the service, and return what it says."""
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "run", f"{soldout.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {soldout.admin_key}"),
            *("--checks", "all", "--seed", str(SEED), "--generation-database", "none"),
            *("--no-color", "--continue-on-failure", "--request-timeout", "30"),
            *("--exclude-operation-id", ENDLESS, *arguments),
        ],
        env=os.environ
        | {
            "SCHEMATHESIS_HOOKS": "tests.openapi.rules",
            "PYTHONPATH": str(ROOT),
            "SOLDOUT_TEST_MARK": folder.name,
        },
        cwd=folder,  # it keeps files beside it
        capture_output=True,
        text=True,
        check=False,
    )
    note(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def put_on_sale(soldout: Soldout) -> None:
    types = [{"id": f"t{n}", "capacity": 10_000_000} for n in range(TYPES)]
    soldout.put_event(MANY_TYPES, ticket_types=types)
    soldout.put_event(ONE_TYPE, capacity=10_000_000)
    soldout.put_event(NEXT_DOOR, capacity=1)


def check_all_was_tried(said: str, least: int) -> None:
    selected = re.search(r"Selected: (\d+)/\d+\n\s+Tested: \1\n", said)
    assert selected, said
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in said or f"✅  {phase}" in said, said
    generated = re.search(r"(\d+) generated", said)
    assert generated, said
    assert int(generated[1]) >= least


def check_undisturbed(soldout: Soldout) -> None:
    """It sold what it says, to whoever asked well, and nothing is out of order."""
    assert soldout.buy(NEXT_DOOR).status_code == 201
    for event in (ONE_TYPE, MANY_TYPES, NEXT_DOOR):
        assert soldout.audit(event)["orders"] >= 1
    for event in requests.get(f"{soldout.url}/events", timeout=30).json()["events"]:
        soldout.audit(event["id"])
    assert "Traceback" not in soldout.log()


@pytest.mark.timeout(400)
def test_schemathesis_finds_nothing(soldout: Soldout, tmp_path: Path) -> None:
    put_on_sale(soldout)
    said = run(soldout, tmp_path, "--max-examples", str(FEW))
    check_all_was_tried(said, 400)
    check_undisturbed(soldout)


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_schemathesis_finds_nothing_in_many_times_as_many(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as soldout:
        put_on_sale(soldout)
        said = run(soldout, tmp_path, "--max-examples", str(MANY))
        check_all_was_tried(said, 1_000)
        check_undisturbed(soldout)
