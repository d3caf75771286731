"""A service on a disk that is full, or cannot sync: no sale is confirmed, none is half done."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

import pytest
import requests

from tests.faults.crowd import Crowd, check_sold_exactly, crowding, until
from tests.faults.disk import Rules
from tests.harness import Soldout, ended, wait_until

WAIT_SECONDS = 1


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    return Rules(tmp_path_factory.mktemp("broken") / "rules")


@pytest.fixture(scope="module")
def soldout(tmp_path_factory: pytest.TempPathFactory, disk: Rules) -> Iterator[Soldout]:
    """A service on that disk."""
    data_dir = tmp_path_factory.mktemp("broken") / "data"
    with ended(Soldout(data_dir, None, wait_seconds=WAIT_SECONDS)) as service:
        disk.put_under(service.env)
        yield service.start()


@pytest.fixture
def rules(disk: Rules) -> Iterator[Rules]:
    """What the disk does, until the test is over."""
    yield disk
    disk.end_all()


@pytest.mark.parametrize("rule", ["full", "sync-fails"])
def test_when_nothing_can_be_written_nothing_is_sold_until_it_can(
    service: Soldout, stadium: str, rules: Rules, rule: str
) -> None:
    key = uuid.uuid4().hex
    service.buy(stadium, 1)
    rules.start(rule)
    for _ in range(5):
        refused = service.buy(stadium, 2, key)
        assert refused.status_code == 503, refused.text
        assert refused.json()["type"] == "/problems/unavailable"
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers["Idempotency-Key"] == f'"{key}"'
    assert service.audit(stadium)["sold"] == 1  # who only looks is still served
    readyz = f"{service.url}/readyz"  # a web process may give its last answer for a moment
    why = ["the ledger cannot be written"]
    wait_until(
        lambda: requests.get(readyz, timeout=5).json().get("reasons") == why, 10, "not ready"
    )

    rules.end(rule)
    sold = service.buy(stadium, 2, key)
    assert sold.status_code == 201, sold.text
    assert service.buy(stadium, 2, key).json() == sold.json()
    assert service.audit(stadium)["sold"] == 3
    wait_until(service.ready, 10, "ready again")


@pytest.mark.parametrize("rule", ["full", "sync-fails"])
def test_a_crowd_loses_nothing_while_the_disk_comes_and_goes(
    service: Soldout, stadium: str, rules: Rules, rule: str
) -> None:
    with crowding(service, stadium) as crowd:
        for _ in range(3):
            refused = refusals(crowd)
            rules.start(rule)
            until(lambda refused=refused: refusals(crowd) > refused + 100, "nothing is sold")  # type: ignore[misc]
            rules.end(rule)
            sold = crowd.sold()
            until(lambda sold=sold: crowd.sold() > sold + 100, "it sells again")  # type: ignore[misc]
        crowd.stop()
    crowd.tell()
    assert set(crowd.statuses()) == {201, 503}
    check_sold_exactly(service, crowd.wishes)


def refusals(crowd: Crowd) -> int:
    return crowd.statuses()[503]


def test_while_a_sync_takes_its_time_no_order_is_confirmed(
    service: Soldout, stadium: str, rules: Rules
) -> None:
    """The worker that hangs in it is killed and replaced, more than once; buyers are told 202."""
    key = uuid.uuid4().hex
    rules.start("sync-blocks")
    pending = service.buy(stadium, 2, key)
    assert rules.syncing()
    assert pending.status_code == 202, pending.text
    where = f"{service.url}{pending.headers['Location']}"
    for _ in range(3):
        assert service.buy(stadium, 2, key).status_code == 202
    assert requests.get(where, timeout=5).status_code == 404

    rules.end("sync-blocks")
    wait_until(lambda: requests.get(where, timeout=5).status_code == 200, 5, "it is sold")
    order = requests.get(where, timeout=5).json()
    assert service.buy(stadium, 2, key).json() == order
    assert service.audit(stadium)["sold"] == 2


def test_a_slow_disk_is_only_slow(service: Soldout, stadium: str, rules: Rules) -> None:
    """A sync of most of a second, below the heartbeat limit, costs no worker its life."""
    workers = service.family()["worker"]
    for _ in range(2):
        rules.start("sync-blocks")
        slow = threading.Timer(WAIT_SECONDS * 0.8, rules.end, ["sync-blocks"])
        slow.start()
        sold = service.buy(stadium, 1)
        slow.join()
        assert sold.status_code == 201, sold.text
    assert service.family()["worker"] == workers
