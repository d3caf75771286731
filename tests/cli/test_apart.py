"""`soldout web`, `soldout workers` and `serve --lock redis`: what runs apart meets in Redis."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Self

import pytest

from tests.faults.crowd import PLENTY, check_sold_exactly, crowding, until
from tests.faults.stopping import stopped_in
from tests.harness import (
    START_SECONDS,
    Soldout,
    children_of,
    ended,
    title_of,
    wait_until,
)
from tests.servers.redis_server import Account, RedisServer
from workers.hearts import Phase
from workers.supervisor import PREPARE_AGAIN_SECONDS

PASSWORD = "hunter2"
LONG_TTL_MS = 60_000  # who waits for it fails the test

Start = Callable[..., "Part"]


class Part(Soldout):
    """One of the commands, in a data directory of its own."""

    def __init__(self, command: str, data_dir: Path, redis_url: str, **settings: object) -> None:
        super().__init__(data_dir, None, redis_url=redis_url, **settings)
        self.command = command.split()
        self.log_path = data_dir.with_suffix(".log")

    def says(self, words: str) -> Self:
        """Wait until its log has these words."""
        assert self.process is not None
        process = self.process
        wait_until(
            lambda: words in self.log() or process.poll() is not None, START_SECONDS, self.log
        )
        assert words in self.log(), self.log()
        return self

    def refuses(self) -> int:
        """Wait until it has ended by itself; return its exit status."""
        assert self.process is not None
        return self.process.wait(START_SECONDS)


@pytest.fixture
def start(tmp_path: Path, redis_server: RedisServer) -> Iterator[Start]:
    """Start commands that meet in one Redis, and end those that are left."""
    numbers = count(1)
    with ExitStack() as stack:

        def start(command: str, redis_url: str = redis_server.url, **settings: object) -> Part:
            part = Part(command, tmp_path / f"data-{next(numbers)}", redis_url, **settings)
            return stack.enter_context(ended(part)).launch()

        yield start


# --- apart --------------------------------------------------------------------------------------


def test_web_and_workers_sell_apart_and_drain_one_by_one(start: Start) -> None:
    web = start("web")
    workers = start("workers").says("2 workers are ready")
    web.says(f"selling at {web.url}")
    web.put_event("gala", capacity=3)
    assert web.buy("gala").status_code == 201
    second = start("workers").says("2 workers are ready")
    assert workers.terminate() == 0
    assert web.buy("gala").status_code == 201
    assert second.terminate() == 0
    assert not web.ready()
    start("workers").says("2 workers are ready")
    wait_until(web.ready, START_SECONDS, "workers answer again")
    assert web.buy("gala").json()["tickets"][0]["number"] == 3
    assert web.buy("gala").status_code == 409
    web.audit("gala")
    assert web.terminate() == 0


def test_each_side_runs_its_own_processes_and_only_a_web_has_an_admin_key(start: Start) -> None:
    workers = start("workers --workers 3", admin_key="").says("3 workers are ready")
    web = start("web --web-processes 1", admin_key="").says("selling at")
    titles = {p: [title_of(child) for child in children_of(p.pid)] for p in (web, workers)}
    assert sorted(titles[workers]) == [f"soldout: worker {number}" for number in (1, 2, 3)]
    assert titles[web] == ["soldout: gunicorn"]
    assert title_of(web.pid) == title_of(workers.pid) == "soldout: supervisor"
    assert (web.data_dir / "admin-key").exists()
    assert not (workers.data_dir / "admin-key").exists()
    assert not list(web.data_dir.rglob("hearts"))


def test_a_web_without_workers_says_where_the_reason_stands(start: Start) -> None:
    web = start("web").says("/readyz says why")
    assert "selling" not in web.log()
    assert web.terminate() == 0


def test_a_second_one_needs_a_data_directory_of_its_own(start: Start, tmp_path: Path) -> None:
    first = start("workers").says("2 workers are ready")
    second = start(f"workers --data-dir {first.data_dir}")
    assert second.refuses() == 1
    assert (
        second.log()
        == f"soldout: another soldout already serves from {first.data_dir}; stop it first\n"
    )


def test_serve_runs_both_sides_over_redis(start: Start) -> None:
    service = start("serve --lock redis").says("selling at")
    service.put_event("gala", capacity=1)
    assert service.buy("gala").status_code == 201
    both = {"worker": 2, "gunicorn": 1, "web": 2}
    wait_until(
        lambda: {role: len(pids) for role, pids in service.family().items()} == both,
        START_SECONDS,
        "both sides run",
    )
    assert not (service.data_dir / "ledger.db").exists()
    assert service.terminate() == 0


# --- deaths -------------------------------------------------------------------------------------


def test_a_lock_of_the_dead_is_free_long_before_it_expires(start: Start) -> None:
    """The worker in its place gives it back; the other workers stay."""
    service = start("serve --lock redis", lock_ttl_ms=LONG_TTL_MS, workers=2).says("selling at")
    service.put_event("gala", capacity=PLENTY)
    with crowding(service, "gala") as crowd:
        for _ in range(3):
            os.kill(stopped_in(service, Phase.HOLDING), signal.SIGKILL)
            sold = crowd.sold()
            until(lambda sold=sold: crowd.sold() > sold + 50, "others go on")  # type: ignore[misc]
        crowd.stop()
    assert set(crowd.statuses()) == {201}  # nobody has waited longer than a buyer does
    assert service.log().count("ended with status -9") == 3
    check_sold_exactly(service, crowd.wishes)


# --- a Redis that cannot be had -------------------------------------------------------------------


@pytest.mark.parametrize("command", ["serve --lock redis", "web", "workers"])
def test_it_waits_for_a_redis_that_is_not_there_and_says_so_once(
    start: Start, command: str, redis_server: RedisServer
) -> None:
    redis_server.kill()
    part = start(command).says("not yet: ")
    time.sleep(3 * PREPARE_AGAIN_SECONDS)  # three tries more
    assert part.log().count("not yet") == 1
    redis_server.start()
    part.says("the first event makes one")
    assert part.terminate() == 0


def test_it_leaves_when_told_although_redis_is_not_there(
    start: Start, redis_server: RedisServer
) -> None:
    redis_server.kill()
    assert start("workers").says("not yet: ").terminate() == 0


@pytest.mark.parametrize("command", ["serve --lock redis", "web", "workers"])
def test_a_redis_that_may_lose_sales_is_refused_in_one_line(start: Start, command: str) -> None:
    with RedisServer(config=["appendfsync everysec"]) as weak:
        part = start(command, weak.url)
        assert part.refuses() == 1
        assert part.log().count("\n") == 1
        assert part.log().startswith("soldout: Redis would break the promise: appendfsync is every")
        relaxed = start(command, weak.url, redis_durability="relaxed")
        relaxed.says("Redis may lose sales: appendfsync is everysec")
        assert relaxed.terminate() == 0


def test_a_pool_smaller_than_the_ledger_has_shards_is_refused_in_one_line(start: Start) -> None:
    service = start("serve --lock redis --workers 3 --shards 3").says("selling at")
    service.put_event("gala", capacity=1)
    part = start("workers --workers 2")
    assert part.refuses() == 2
    assert part.log() == (
        "soldout: SOLDOUT_WORKERS=2: fewer than the ledger has shards, 3;"
        " each needs a worker in every pool\n"
    )


def test_a_pool_that_is_refused_decides_nothing_about_the_new_ledger(
    start: Start, redis_server: RedisServer
) -> None:
    """Or whoever starts without that mistake would be refused as well."""
    part = start("workers --workers 2 --shards 4")
    assert part.refuses() == 2
    assert part.log() == (
        "soldout: SOLDOUT_WORKERS=2: fewer than the new ledger shall have shards, 4;"
        " each needs a worker in every pool\n"
    )
    assert redis_server.ask("KEYS", "*") == []
    start("workers").says("2 workers are ready")
    start("web --shards 4").says("no ledger in")  # it has no workers that could be too few


def test_a_pool_with_workers_enough_serves_every_shard(start: Start) -> None:
    service = start("serve --lock redis --workers 3 --shards 3").says("selling at")
    for event in "abcdef":
        service.put_event(event, capacity=1)
        assert service.buy(event).status_code == 201
    other = start("workers --workers 4").says("4 workers are ready")
    assert "has shards: 3" in other.log()


# --- passwords ------------------------------------------------------------------------------------


def test_a_password_of_redis_is_never_shown(start: Start, tmp_path: Path) -> None:
    with RedisServer(account=Account("seller", PASSWORD)) as server:
        part = start("serve --lock redis", server.url).says("selling at")
        assert f"redis://seller:***@{server.address}/0" in part.log()
        assert part.terminate() == 0
        (tmp_path / "password").write_text(PASSWORD + "\n")
        url = f"redis://seller@{server.address}"
        file = start("workers", url, redis_password_file=tmp_path / "password")
        file.says("2 workers are ready")
        wrong = start("workers", server.url.replace(PASSWORD, f"{PASSWORD}-not"))
        wrong.says("not yet: ")
        for each in (part, file, wrong):
            assert PASSWORD not in each.log()
