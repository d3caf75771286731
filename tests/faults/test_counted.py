"""What `/metrics` has counted is what buyers were told, whoever is asked and whoever was killed."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import requests

from tests.faults.conftest import put
from tests.harness import Soldout, alive, ended, wait_until
from tests.scrape import Scrape, scrape
from tests.servers.redis_server import RedisServer

BUYERS = 8
EACH = 25
FEW, PLENTY = 60, 100_000


@pytest.fixture(scope="module", params=["process", "redis"])
def counted(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Soldout]:
    """A service of two web processes and two workers, on each kind of ledger."""
    folder = tmp_path_factory.mktemp(f"counted-{request.param}") / "data"
    if request.param == "process":
        with ended(Soldout(folder)) as service:
            yield service.start()
    else:
        with (
            RedisServer() as redis,
            ended(Soldout(folder, lock="redis", redis_url=redis.url)) as service,
        ):
            yield service.start()


def told(answer: requests.Response) -> str:
    """Return what an answer says, in the words of `/metrics`."""
    if answer.status_code == 201:
        return "replayed" if "Idempotent-Replayed" in answer.headers else "sold"
    if answer.status_code == 202:
        return "pending"
    slug: str = answer.json()["type"].rpartition("/")[2]
    return slug


def crowd(service: Soldout, *events: str) -> Counter[str]:
    """Have a crowd buy; return what it was told, all of it."""

    def buy(event: str) -> str:
        return told(service.buy(event))

    with ThreadPoolExecutor(BUYERS) as pool:
        return Counter(pool.map(buy, [event for event in events for _ in range(BUYERS * EACH)]))


@contextmanager
def watching(service: Soldout) -> Iterator[list[Scrape]]:
    """Scrape all the time, whichever web process is reached."""
    pages: list[Scrape] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            try:
                pages.append(scrape(service.url))
            except requests.RequestException:  # whoever was asked was killed
                continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield pages
    finally:
        over.set()
        thread.join()


def check_nothing_went_back(pages: list[Scrape]) -> None:
    assert len(pages) > 3
    for before, after in pairwise(pages):
        counts = after.counts()
        assert counts
        for series, value in before.counts().items():
            assert counts[series] >= value, f"{series} went back"


def test_every_purchase_is_counted_by_what_it_was_told(counted: Soldout) -> None:
    first = scrape(counted.url)
    club, hall = put(counted, "club", FEW), put(counted, "hall", PLENTY)
    # On Redis a batch is answered by its commit, and counted a moment later.
    wait_until(lambda: commands(first, scrape(counted.url)) == 2, 5, "both events were of a batch")
    before = scrape(counted.url)
    with watching(counted) as pages:
        answers = crowd(counted, club, hall, "nothing-of-that-name")
    assert answers == {"sold": 260, "sold-out": 140, "unknown-event": 200}
    after = scrape(counted.url)
    assert after.purchases() - before.purchases() == answers
    check_nothing_went_back([before, *pages, after])
    for stage in ("duration", "queue", "settle"):
        assert grown(before, after, f"soldout_purchase_{stage}_seconds_count") == answers.total()
    for worker in ("lock_wait_seconds", "lock_held_seconds", "commit_duration_seconds"):
        assert grown(before, after, f"soldout_{worker}_count") > 0
    assert counted.ready()  # whose probes are of no batch
    wait_until(
        lambda: commands(before, scrape(counted.url)) >= answers.total(),
        5,
        "every purchase was of a batch",
    )
    assert commands(before, scrape(counted.url)) == answers.total(), batches(before, after)


def commands(before: Scrape, after: Scrape) -> float:
    """Return how many commands the batches had."""
    return grown(before, after, "soldout_batch_size_sum")


def batches(before: Scrape, after: Scrape) -> dict[str, float]:
    """Return what explains batches with more commands than there were purchases."""
    names = "batch_size_count", "frames_resent_total", "workers_hung_total"
    return {name: grown(before, after, f"soldout_{name}") for name in names}


def grown(before: Scrape, after: Scrape, name: str) -> float:
    """Return by how much a metric has grown, all its series together."""
    return sum(after.series[s] - before.series[s] for s in before.series if s[0] == name)


def test_a_purchase_that_is_repeated_is_counted_as_replayed(counted: Soldout) -> None:
    hall = put(counted, "hall", PLENTY)
    before = scrape(counted.url)
    for _ in range(3):
        assert counted.buy(hall, key="the-same-purchase-" + hall).status_code == 201
    assert scrape(counted.url).purchases() - before.purchases() == {"sold": 1, "replayed": 2}


def kill_a_web(service: Soldout) -> None:
    os.kill(service.family()["web"][0], signal.SIGKILL)


def kill_a_worker(service: Soldout) -> None:
    os.kill(service.family()["worker"][0], signal.SIGKILL)


@pytest.mark.parametrize("kill", [kill_a_web, kill_a_worker])
def test_what_a_killed_process_had_counted_stays_counted(
    counted: Soldout, kill: Callable[[Soldout], None]
) -> None:
    hall = put(counted, "hall", PLENTY)
    before = scrape(counted.url)
    with watching(counted) as pages:
        first = crowd(counted, hall)
        pids = counted.family()
        kill(counted)
        wait_until(lambda: all_back(counted, pids), 10, "another one in its place")
        second = crowd(counted, hall)
    after = scrape(counted.url)
    check_nothing_went_back([before, *pages, after])
    assert after.purchases() - before.purchases() == first + second == {"sold": 2 * BUYERS * EACH}
    role = "web_process" if kill is kill_a_web else "worker"
    assert grown(before, after, f"soldout_{role}_restarts_total") >= 1
    wait_until(lambda: scrape(counted.url).value("soldout_web_processes_up") == 2, 10, "both up")


def test_workers_that_are_killed_amid_a_crowd_leave_no_count_out(counted: Soldout) -> None:
    hall = put(counted, "hall", PLENTY)
    before = scrape(counted.url)
    over = threading.Event()

    def kill_on() -> None:
        while not over.wait(0.3):
            if workers := counted.family()["worker"]:
                os.kill(workers[0], signal.SIGKILL)

    killing = threading.Thread(target=kill_on)
    with watching(counted) as pages:
        killing.start()
        answers = crowd(counted, hall, hall)
        over.set()
        killing.join()
    after = scrape(counted.url)
    check_nothing_went_back([before, *pages, after])
    assert after.purchases() - before.purchases() == answers
    assert grown(before, after, "soldout_worker_restarts_total") >= 1
    wait_until(counted.ready, 10, "both workers")


def all_back(service: Soldout, before: dict[str, list[int]]) -> bool:
    family = service.family()
    return (
        family != before
        and [len(family[role]) for role in ("web", "worker")] == [2, 2]
        and all(alive(pid) for pid in family["web"] + family["worker"])
        and service.ready()
    )


def test_a_worker_that_is_not_there_is_not_up(counted: Soldout) -> None:
    def up() -> float:
        return sum(scrape(counted.url).value("soldout_worker_up", worker=w) for w in "12")

    wait_until(lambda: up() == 2, 10, "both workers are up")
    worker = counted.family()["worker"][0]
    os.kill(worker, signal.SIGSTOP)  # its heart stops, and then it is killed as hung
    hung = scrape(counted.url).value("soldout_workers_hung_total")
    wait_until(lambda: scrape(counted.url).value("soldout_workers_hung_total") > hung, 10, "hung")
    wait_until(lambda: up() == 2, 10, "another one in its place")


def test_a_counted_service_starts_again_at_nothing(tmp_path: Path) -> None:
    with ended(Soldout(tmp_path / "data")) as service:
        service.start()
        crowd(service, put(service, "hall", PLENTY))
        service.terminate()
        service.start()
        assert not scrape(service.url).purchases()
