"""The benchmark lets rivals take turns, and counts nothing but what its scenario counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace as but

from loadtest import bench, targets
from loadtest.bench import in_turn, main, present, table
from loadtest.gauges import machine
from loadtest.rivals import CEILING, EMBEDDED, LUA, ON_REDIS, RIVALS, Rival
from loadtest.targets import judge
from tests.loadtest.test_targets import EMPTY, TURN, TURNS


def test_without_wrk_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([]) == 2
    assert capsys.readouterr().err == "the benchmark needs wrk: apt-get install wrk\n"


def test_each_rival_takes_its_turn_and_every_turn_is_reported_and_drawn(
    with_wrk: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with_wrk(0)
    rivals = ["empty", "soldout", "soldout_redis", "redis_lua"]
    assert main(["--rounds", "1", "--seconds", "1", "--rivals", *rivals]) == 0
    assert "sales beside an empty view, 64 connections: 1.00" in capsys.readouterr().out
    report = json.loads(Path("reports", "bench.json").read_bytes())
    turns = {turn["rival"]: turn for turn in report["turns"]}
    assert list(turns) == [RIVALS[name].name for name in rivals]
    assert {turn["rate"] for turn in turns.values()} == {20}
    memory = {name: turn["memory_mib"] for name, turn in turns.items()}
    assert all(held["web"] > 0 for held in memory.values())
    assert memory[EMBEDDED.name]["workers"] > 0 == memory[LUA.name]["workers"]
    assert memory[LUA.name]["store"] > 0 == memory[EMBEDDED.name]["store"]
    assert turns[EMBEDDED.name]["batch"] == 1
    assert 0 <= turns[ON_REDIS.name]["batch"] <= 1  # its workers tell once a second, of probes too
    assert all(turn["fsync_ms"] > 0 for turn in turns.values())
    drawn = ElementTree.parse(Path("reports", "bench.svg")).getroot()
    names = {RIVALS[name].name for name in rivals}
    assert names <= {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}


def test_readers_of_what_remains_are_counted_by_what_they_read(
    with_wrk: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with_wrk(0)
    scenario = ["--scenario", "remaining", "--rivals", "empty", "soldout"]
    assert main(["--rounds", "1", "--seconds", "1", *scenario]) == 0
    assert "GET /remaining beside an empty view, 64 connections: 1.00" in capsys.readouterr().out


def test_rivals_scenarios_and_connections_can_be_chosen(
    with_wrk: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_wrk(0)
    monkeypatch.setattr(
        bench,
        "play",
        lambda rival, what, n, _: but(TURN, rival=rival.name, scenario=what.name, connections=n),
    )
    chosen = ["--rivals", "redis_lua", "soldout", "--scenario", "sold-out", "events"]
    assert main(["--rounds", "2", "--connections", "64", "256", *chosen]) == 0
    report = json.loads(Path("reports", "bench.json").read_bytes())
    assert [(turn["rival"], turn["scenario"], turn["connections"]) for turn in report["turns"]] == [
        (rival.name, scenario, connections)
        for rivals in ((LUA, EMBEDDED), (EMBEDDED, LUA))
        for scenario in ("sold-out", "events")
        for connections in (64, 256)
        for rival in rivals
    ]
    said = capsys.readouterr().out
    assert CEILING.name not in said
    assert "100 events, in turn, 256 connections" in said


def test_who_cannot_play_is_left_out_with_a_line_unless_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = Rival("absent", EMBEDDED.serve, module="no_such_package_anywhere")
    monkeypatch.setattr(bench, "RIVALS", {"soldout": EMBEDDED, "absent": absent})
    assert present(None) == [EMBEDDED]
    line = "absent is left out, and something is missing: make .venv/.bench"
    assert capsys.readouterr().err.strip() == line
    assert present(["soldout", "absent"]) == []
    assert present(["soldout"]) == [EMBEDDED]


def test_each_round_begins_with_another_rival() -> None:
    rivals = list(RIVALS.values())
    assert {in_turn(rivals, round_)[0].name for round_ in range(len(rivals))} == {
        rival.name for rival in rivals
    }
    assert in_turn(rivals, len(rivals)) == rivals


@pytest.mark.parametrize(
    ("arguments", "limit", "status"), [([], 2.0, 0), (["--check"], 2.0, 1), (["--check"], 0.5, 0)]
)
def test_a_missed_target_fails_only_on_request(
    arguments: list[str],
    limit: float,
    status: int,
    with_wrk: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_wrk(0)
    goal = targets.at_least("sales", EMBEDDED, CEILING, 64, limit)
    monkeypatch.setattr(targets, "GOALS", [goal])
    monkeypatch.setattr(bench, "play", lambda rival, *_: TURN if rival == EMBEDDED else EMPTY)
    assert main([*arguments, "--rivals", "empty", "soldout"]) == status


def test_a_rival_that_confirms_more_than_it_sold_gets_no_figures(
    with_wrk: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with_wrk(1)
    assert main(["--rounds", "1", "--seconds", "1", "--rivals", "soldout"]) == 1
    assert capsys.readouterr().err == "soldout embedded confirmed 21 sales, and counts fewer\n"


def test_the_table_shows_medians_spread_and_refusals_apart_from_sales() -> None:
    text = table(TURNS, judge(TURNS))
    line, beside, cost = [line for line in text.splitlines() if line.startswith("soldout embedded")]
    sales, least, most, refused, errors, *_ = line.removeprefix("soldout embedded").split()
    assert (sales, least, most, refused, errors) == ("900", "800", "1000", "3.0", "1.0")
    assert beside.split(maxsplit=2)[2] == "0.80 (0.50 to 0.90)"
    assert cost.split(maxsplit=2)[2] == "1.20 (1.15 to 1.30)"
    assert f"python: {machine()['python']}" in text


def test_a_busy_machine_is_named_as_such() -> None:
    busy = [*TURNS[:-1], but(TURNS[-1], elsewhere_percent=40.0)]
    assert "in 1 of 6 turns other programs were busy" in table(busy, [])
    assert "other programs were busy" not in table(TURNS, [])
