"""The benchmark sets soldout beside its rivals, and counts nothing but sales."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace as but

from loadtest import bench
from loadtest.bench import Target, Turn, in_turn, judge, main, ratios, table
from loadtest.gauges import machine, spending
from loadtest.rivals import CEILING, EMBEDDED, LUA, ON_REDIS, PIPELINED, RIVALS
from loadtest.servers import Store, redis

ROOT = Path(__file__).parents[2]

TURN = Turn(EMBEDDED.name, 64, 800.0, 3, 1, 5.0, 20.0, 200.0, 30.0, 0.0, 1.0, 2.0)
EMPTY = but(TURN, rival=CEILING.name, sales_a_second=1_000.0, workers_us=0.0)
TURNS = [
    *(EMPTY, TURN),
    *(but(EMPTY, sales_a_second=2_000.0), but(TURN, sales_a_second=1_000.0, workers_us=60.0)),
    *(EMPTY, but(TURN, sales_a_second=900.0, workers_us=40.0)),
]

# Stands in for wrk, which need not be installed: the same command line, real requests, the same
# line of JSON. It confirms more sales than it made if the test says so.
WRK = """#!{python}
import json, os, sys, urllib.request
sold = 0
for _ in range(20):
    request = urllib.request.Request(sys.argv[-1], os.environ["WRK_BODY"].encode())
    request.add_header("Content-Type", "application/json")
    sold += urllib.request.urlopen(request).status == 201
print("Running ...")
print(json.dumps(dict(seconds=1.0, sales=sold + {lie}, refusals=0, errors=0, p50_ms=1, p99_ms=2)))
"""


@pytest.fixture
def with_wrk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Put a stand-in for wrk on the PATH, and work in a directory of our own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(lie: int = 0) -> None:
        program = tmp_path / "wrk"
        program.write_text(WRK.format(python=sys.executable, lie=lie))
        program.chmod(0o700)

    return put


def test_without_wrk_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([]) == 2
    assert capsys.readouterr().err == "the benchmark needs wrk: apt-get install wrk\n"


def test_each_rival_takes_its_turn_and_every_turn_is_reported(
    with_wrk: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with_wrk(0)
    assert main(["--rounds", "1", "--seconds", "1"]) == 0
    assert "sales beside an empty view, 64 connections: 1.00" in capsys.readouterr().out
    report = json.loads(Path("reports", "bench.json").read_bytes())
    turns = {turn["rival"]: turn for turn in report["turns"]}
    assert list(turns) == [rival.name for rival in RIVALS.values()]
    assert {turn["sales_a_second"] for turn in turns.values()} == {20}
    assert all(turn["web_us"] > 0 for turn in turns.values())
    assert turns[EMBEDDED.name]["workers_us"] > 0 == turns[LUA.name]["workers_us"]
    assert turns[EMBEDDED.name]["store_us"] == 0


def test_rivals_and_connections_can_be_chosen(
    with_wrk: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_wrk(0)
    monkeypatch.setattr(
        bench, "play", lambda rival, n, _: but(TURN, rival=rival.name, connections=n)
    )
    rivals = ["--rivals", "redis_lua", "soldout"]
    assert main(["--rounds", "2", "--connections", "64", "256", *rivals]) == 0
    report = json.loads(Path("reports", "bench.json").read_bytes())
    assert [(turn["rival"], turn["connections"]) for turn in report["turns"]] == [
        *((LUA.name, 64), (EMBEDDED.name, 64), (LUA.name, 256), (EMBEDDED.name, 256)),
        *((EMBEDDED.name, 64), (LUA.name, 64), (EMBEDDED.name, 256), (LUA.name, 256)),
    ]
    assert CEILING.name not in capsys.readouterr().out


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
    monkeypatch.setattr(bench, "RATIO_MIN", limit)
    monkeypatch.setattr(bench, "play", lambda rival, *_: TURN if rival == EMBEDDED else EMPTY)
    assert main(arguments) == status


def test_a_rival_that_confirms_more_than_it_sold_gets_no_figures(
    with_wrk: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with_wrk(1)
    assert main(["--rounds", "1", "--seconds", "1"]) == 1
    assert capsys.readouterr().err == "soldout embedded confirmed 21 sales, and counts fewer\n"


def test_soldout_is_measured_against_the_empty_view_of_the_same_round() -> None:
    ratio, cost = judge(TURNS, 64)
    assert ratio.rounds == [0.8, 0.5, 0.9]
    assert ratio.met
    assert cost.rounds == [30.0, 60.0, 40.0]
    assert cost.met


def test_rivals_are_compared_within_a_round() -> None:
    slower = [but(TURN, rival=PIPELINED.name, sales_a_second=sales) for sales in (400.0, 1_000.0)]
    assert ratios([*TURNS[:4], *slower], EMBEDDED, PIPELINED, 64) == [2.0, 1.0]
    assert ratios([*TURNS[:4], *slower], EMBEDDED, PIPELINED, 256) == []


def test_soldout_on_redis_is_measured_against_what_needs_no_workers_for_it() -> None:
    alone = but(TURN, rival=LUA.name, sales_a_second=500.0)
    on_redis = but(TURN, rival=ON_REDIS.name, sales_a_second=600.0)
    (target,) = judge([alone, on_redis], 64)
    assert target.rounds == [1.2]
    assert target.met
    assert judge([alone], 64) == []


@pytest.mark.parametrize(
    ("rounds", "limit", "floor", "met"),
    [
        ([0.7, 0.75, 0.9], 0.75, True, True),
        ([0.7, 0.74, 0.9], 0.75, True, False),
        ([10.0, 50.0, 90.0], 50.0, False, True),
        ([10.0, 51.0, 90.0], 50.0, False, False),
    ],
)
def test_a_target_is_met_by_the_median(
    rounds: list[float], limit: float, floor: bool, met: bool
) -> None:
    target = Target("figure", rounds, limit, floor)
    assert target.met is met
    assert str(target).endswith("met" if met else "MISSED")


def test_the_table_shows_medians_spread_and_refusals_apart_from_sales() -> None:
    text = table(TURNS, judge(TURNS, 64))
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


BURN = """
import os, subprocess, sys, time
from setproctitle import setproctitle
setproctitle(sys.argv[1])
children = [subprocess.Popen([sys.executable, __file__, name]) for name in sys.argv[2:]]
while time.process_time() < 0.3:
    pass
os.write(1, b"burnt\\n")  # in one piece, whatever others write
time.sleep(600)
"""


@pytest.fixture
def service_that_burnt(tmp_path: Path) -> Iterator[int]:
    """A supervisor with a worker and two web processes, each of which burnt 0.3 s."""
    program = tmp_path / "burn.py"
    program.write_text(BURN)
    names = ["soldout: supervisor", "soldout: worker 1", "soldout: web 1", "soldout: web 2"]
    process = subprocess.Popen(
        [sys.executable, str(program), *names], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        for _ in names:
            assert process.stdout.readline() == b"burnt\n"
        yield process.pid
    finally:
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            subprocess.run(["kill", "-9", child], check=True)
        process.kill()
        process.communicate()


def test_processor_time_is_told_apart_by_the_titles_of_the_processes(
    service_that_burnt: int,
) -> None:
    spent = spending(service_that_burnt)
    assert spent.workers >= 0.28
    assert spent.web >= 0.56
    assert spent.rest >= 0.28
    later = spending(service_that_burnt).since(spent)
    assert later.workers == later.web == 0
    assert later.elsewhere >= -0.1  # ticks of /proc are coarser than our own usage


def test_the_store_is_counted_apart_from_the_service_that_uses_it() -> None:
    with redis() as store, socket.create_connection(("127.0.0.1", port_of(store))) as client:
        before = spending(os.getpid(), store.pid)
        client.sendall(b"EVAL 'for i = 1, 1e7 do end' 0\r\n")
        assert client.recv(64)
        spent = spending(os.getpid(), store.pid).since(before)
    assert spent.store > 0
    assert spent.web == spent.workers == 0


def port_of(store: Store) -> int:
    return urlsplit(store.url).port or 0
