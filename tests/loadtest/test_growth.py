"""Growth is measured on ledgers that are what selling would have left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.growth import Figure, main
from tests.harness import serving

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("keys", ["ordered", "random"])
def test_a_filled_ledger_is_consistent_and_goes_on_selling(tmp_path: Path, keys: str) -> None:
    data = tmp_path / "data"
    arguments = ["--data-dir", str(data), "--orders", "10000", "--events", "3", "--keys", keys]
    fill = [sys.executable, "-m", "tests.fill_ledger", *arguments]
    subprocess.run(fill, check=True, cwd=ROOT)
    with serving(data) as service:
        assert service.buy("bench-0").json()["tickets"][0]["number"] == 3_335
        audits = [service.audit(f"bench-{number}") for number in range(3)]
    assert [audit["sold"] for audit in audits] == [3_335, 3_333, 3_333]
    assert [audit["orders"] for audit in audits] == [3_335, 3_333, 3_333]


@pytest.mark.long
def test_each_part_says_what_it_measured(
    with_wrk: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_wrk(0)
    monkeypatch.setattr("loadtest.growth.WORKERS", (1,))
    short = ["--orders", "5000", "--rounds", "1", "--seconds", "1", "--minutes", "0"]
    parts = ["--parts", "orders", "workers", "minutes", "redis"]
    assert main([*short, "--slice-seconds", "1", *parts]) == 0
    said = capsys.readouterr().out
    for line in ("disk, 5,000 orders", "restart, ", "1 workers: sales", "in the end", "Redis' mem"):
        assert line in said
    report = json.loads(Path("reports", "growth.json").read_bytes())
    figures = {figure["name"]: figure for figure in report["figures"]}
    (disk,) = figures["disk, 5,000 orders, keys ordered"]["rounds"]
    assert 100 < disk < 400
    assert figures["disk, 5,000 orders, keys ordered"]["met"]


@pytest.mark.parametrize(("limit", "met"), [(None, True), (2.0, True), (1.9, False)])
def test_a_limit_is_kept_by_the_median(limit: float | None, met: bool) -> None:
    figure = Figure("figure", [1.0, 2.0, 9.0], "bytes", limit)
    assert figure.met is met
    assert ("MISSED" in str(figure)) is not met


def test_a_broken_limit_fails_only_on_request(
    with_wrk: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_wrk(0)
    monkeypatch.setitem(
        main.__globals__["PARTS"], "redis", lambda _: iter([Figure("it", [2.0], "", 1.0)])
    )
    assert main(["--parts", "redis"]) == 0
    assert main(["--parts", "redis", "--check"]) == 1


def test_without_wrk_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    assert main([]) == 2
    assert capsys.readouterr().err == "the benchmark needs wrk: apt-get install wrk\n"
