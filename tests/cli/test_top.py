"""`soldout top`: the box office in a terminal, which stays when the service goes and comes back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from service.cli.rates import between, quantile
from service.cli.top import Office, bar, looks_ill
from service.client import Client, Distribution, Now, Shard
from tests.cli.conftest import Type, typing
from tests.cli.terminal import Terminal
from tests.harness import Soldout, ended, serving, wait_until
from tests.servers.redis_server import RedisServer

TOP = [sys.executable, "-m", "service", "top", "--interval", "0.1"]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Soldout]:
    with serving(tmp_path / "data") as service:
        service.put_event("gala", capacity=8)
        yield service


def row(lines: list[str], name: str) -> list[str]:
    """Return the words of the line that begins with a name, up to the bar."""
    found = [line.partition("[")[0].split() for line in lines if line.split()[:1] == [name]]
    return found[0] if found else []


def test_on_a_terminal_it_stays_in_its_place_while_the_service_goes_and_comes_back(
    service: Soldout,
) -> None:
    with Terminal(TOP, service.env) as terminal:
        wait_until(lambda: row(terminal.shown(), "gala"), 20, terminal.written)
        assert service.buy("gala", 3).status_code == 201
        wait_until(
            lambda: row(terminal.shown(), "gala") == ["gala", "on_sale", "3", "0", "5"],
            20,
            terminal.written,
        )
        workers = [row(terminal.shown(), str(number)) for number in (1, 2)]
        assert [int(worker[2]) for worker in workers] == service.family()["worker"]
        service.kill()
        wait_until(lambda: "AWAY for" in terminal.shown()[0], 20, terminal.written)
        assert row(terminal.shown(), "gala"), "what was known stays"
        service.start()
        assert service.buy("gala", 5).status_code == 201
        wait_until(
            lambda: row(terminal.shown(), "gala") == ["gala", "sold_out", "8", "0", "0"],
            20,
            terminal.written,
        )
        assert terminal.shown()[0].startswith(service.url)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(20) == 0
        assert terminal.written().count("\x1b[2J") == 1, "drawn over, not cleared each time"


def test_a_worker_that_boots_is_shown_without_a_process_id(service: Soldout) -> None:
    service.hearts().start(2, 0)  # as the pool does before it forks
    told = service.admin("GET", "/workers").json()["workers"]
    assert [worker["pid"] for worker in told] == [service.family()["worker"][0], None]
    client = typing(service.env)
    lines = client("top", "--once", "--interval", "0.1").out.splitlines()
    assert row(lines, "2")[2] == "-"
    assert client("top", "--once", "--json").json["workers"][1]["pid"] is None


def test_it_may_be_started_before_the_service(tmp_path: Path) -> None:
    with ended(Soldout(tmp_path / "data")) as service, Terminal(TOP, service.env) as terminal:
        wait_until(lambda: "AWAY for" in terminal.written(), 20, terminal.written)
        service.start()
        wait_until(lambda: "no events yet" in terminal.shown(), 20, terminal.written)
        assert not any("AWAY" in line for line in terminal.shown())


def test_a_small_terminal_gets_what_fits_and_is_told_of_the_rest(service: Soldout) -> None:
    with Terminal(TOP, service.env, size=(7, 30)) as terminal:
        wait_until(lambda: "more lines" in terminal.written(), 20, terminal.written)
        wait_until(lambda: len(terminal.shown()) >= 4, 20, terminal.written)
        shown = terminal.shown()
    assert max(map(len, shown)) <= 30
    assert len(shown) <= 6
    assert shown[-1].startswith("… ")


def test_elsewhere_it_goes_on_line_by_line_and_says_once_that_nobody_answers(
    service: Soldout, tmp_path: Path
) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = subprocess.Popen([*TOP, "--json"], env=service.env, stdout=to_out, stderr=to_err)
        try:
            wait_until(lambda: out.read_text().count("\n") > 1, 20, err.read_text)
            service.kill()
            wait_until(err.read_text, 20, "nobody answers")
            before = out.read_text().count("\n")
            service.start()
            wait_until(lambda: out.read_text().count("\n") > before, 20, err.read_text)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
    assert err.read_text().count("\n") == 1
    assert err.read_text().startswith("AWAY for ")
    said = [json.loads(line) for line in out.read_text().splitlines()]
    assert said[0]["this_host"]["started_at"] < said[-1]["this_host"]["started_at"]


def test_once_it_shows_one_look_and_leaves(cli: Type, soldout: Soldout) -> None:
    soldout.put_event("ball", capacity=4)
    assert soldout.buy("ball", 4).status_code == 201
    typed = cli("top", "--once", "--interval", "0.2")
    assert typed.status == 0
    lines = typed.out.splitlines()
    assert row(lines, "ball") == ["ball", "sold_out", "4", "0", "0"]
    assert f"[{'#' * 24}] 100%" in typed.out
    assert row(lines, "sold")[0::2] == ["sold", "refused", "in", "0", "on"]
    assert "\x1b" not in typed.out


def test_machines_read_what_the_service_itself_says(cli: Type, soldout: Soldout) -> None:
    typed, said = cli("top", "--once", "--json").json, soldout.admin("GET", "/admin/now").json()
    assert shape(typed) == shape(said)
    assert typed["events"] == said["events"]
    assert typed["this_host"]["started_at"] == said["this_host"]["started_at"]


def shape(told: Any) -> Any:
    """Return which members there are, and of which kind, whatever they count."""
    if isinstance(told, dict):
        return {name: shape(member) for name, member in told.items()}
    if isinstance(told, list):
        return [shape(member) for member in told]
    return "number" if isinstance(told, int | float) else type(told).__name__


@pytest.mark.parametrize("words", ["top", "top --once", "top --json"])
def test_a_wrong_key_ends_it_with_its_cure(soldout: Soldout, words: str) -> None:
    wrong = typing({"SOLDOUT_ADMIN_KEY": "not-the-key-of-this-service"})
    typed = wrong(*words.split(), "--url", soldout.url)
    assert typed.status == 1
    assert "set SOLDOUT_ADMIN_KEY" in typed.err


def test_on_many_hosts_it_shows_the_shards_and_says_when_redis_is_gone(tmp_path: Path) -> None:
    with (
        RedisServer() as redis,
        serving(tmp_path / "data", lock="redis", redis_url=redis.url) as service,
        Terminal(TOP, service.env) as terminal,
    ):
        service.put_event("gala", capacity=4)
        wait_until(lambda: row(terminal.shown(), "gala"), 20, terminal.written)
        shard = "shard 1: 2 workers, 0 frames waiting"
        wait_until(lambda: shard in terminal.shown(), 20, terminal.written)
        redis.kill()
        wait_until(lambda: "the ledger cannot be read" in terminal.shown(), 20, terminal.written)
        wait_until(lambda: "\nNOT SELLING: " in "\n".join(terminal.shown()), 20, terminal.written)
        assert "NO WORKERS" not in terminal.shown()
        redis.start()
        wait_until(lambda: row(terminal.shown(), "gala"), 20, terminal.written)


def test_looking_on_writes_nothing_to_the_ledger(service: Soldout) -> None:
    with Client(service.url, service.admin_key) as client:
        office = Office(client)
        office.ask()  # the first time it asks whether all can be sold, which is a write
        before = later(client)
        for _ in range(3):
            office.ask()
            after = later(client)
        assert after.this_host.commit_seconds == before.this_host.commit_seconds
        assert after.this_host.batch_size == before.this_host.batch_size
        assert service.ready()
        probed = later(client)
    assert probed.this_host.commit_seconds.count > before.this_host.commit_seconds.count
    assert probed.this_host.batch_size == before.this_host.batch_size
    assert [w.purchases for w in probed.workers] == [w.purchases for w in before.workers]


def test_it_asks_whether_it_sells_only_if_something_looks_ill(service: Soldout) -> None:
    with Client(service.url, service.admin_key) as client:
        first, then = client.now(), later(client)
    assert not looks_ill(then, between(first, then))
    quiet = [replace(w, last_heartbeat=first.as_of - timedelta(seconds=9)) for w in then.workers]
    failed = replace(then.this_host, ledger_faults=then.this_host.ledger_faults | {"settle": 1})
    for ill in (
        replace(then, workers=()),
        replace(then, workers=tuple(quiet)),
        replace(then, ledger="unreadable"),
        replace(then, troubles=("no worker can be reached",)),
        replace(then, shards=(Shard(1, 0, workers=0, older=False),)),
        replace(then, this_host=failed),
    ):
        assert looks_ill(ill, between(first, ill))


# --- figures ---


def test_a_quantile_is_that_of_what_came_in_between() -> None:
    before = Distribution(10, 1.0, (0.1, 0.2, 0.4), (10, 0, 0, 0))
    after = Distribution(20, 4.0, (0.1, 0.2, 0.4), (10, 5, 5, 0))
    assert quantile(before, after, 0.5) == pytest.approx(0.2)
    assert quantile(before, after, 0.99) == pytest.approx(0.396)
    assert quantile(after, after, 0.5) is None
    above = Distribution(30, 99.0, (0.1, 0.2, 0.4), (10, 5, 5, 10))
    assert quantile(after, above, 0.99) == 0.4


def test_a_bar_is_full_only_when_nothing_remains() -> None:
    assert bar(0, 0, 10).startswith("[........................]")
    assert bar(99_999, 0, 100_000).startswith("[#######################.]")
    assert bar(5, 5, 10).startswith("[############++++++++++++]")
    assert bar(0, 0, 0) == "[........................]"


def test_two_answers_are_compared_only_within_one_life_of_a_host(service: Soldout) -> None:
    with Client(service.url, service.admin_key) as client:
        first, then = client.now(), later(client)
        assert service.buy("gala").status_code == 201
        last = later(client)
    assert between(None, first) is None
    assert between(then, first) is None
    compared = between(then, last)
    assert compared is not None
    assert compared.per_second("sold") == pytest.approx(1 / compared.seconds)
    assert compared.refused_per_second() == 0
    with Client(service.url, service.admin_key) as client:
        service.terminate()
        service.start()
        assert between(last, client.now()) is None


def later(client: Client) -> Now:
    """Return an answer that is younger than the one that the service keeps for a moment."""
    first = client.now()
    found = [first]

    def is_younger() -> bool:
        found[0] = client.now()
        return found[0].clock_ms > first.clock_ms

    wait_until(is_younger, 20, "a younger answer")
    return found[0]
