"""A service on a disk that is full, or cannot sync: no sale is confirmed, none is half done."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.faults.crowd import PLENTY, Crowd, check_sold_exactly, crowding, until
from tests.harness import Soldout, serving, wait_until

HERE = Path(__file__).parent
WAIT_SECONDS = 1


class Rules:
    """What the service's disk does from now on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def start(self, rule: str) -> None:
        """Let the disk be `full`, or `sync-fails`, or `sync-blocks`."""
        (self.folder / rule).touch()

    def end(self, rule: str) -> None:
        """Let that be over."""
        (self.folder / rule).unlink()

    def syncing(self) -> bool:
        """Say whether a sync was begun that does not return."""
        return (self.folder / "syncing").exists()


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    return Rules(tmp_path / "rules")


@pytest.fixture
def service(tmp_path: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch) -> Iterator[Soldout]:
    paths = [str(HERE / "broken_disk"), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
    settings = {"test_disk": rules.folder, "wait_seconds": WAIT_SECONDS}
    with serving(tmp_path / "data", **settings) as service:
        service.put_event("gala", capacity=PLENTY)
        yield service


@pytest.mark.parametrize("rule", ["full", "sync-fails"])
def test_when_nothing_can_be_written_nothing_is_sold_until_it_can(
    service: Soldout, rules: Rules, rule: str
) -> None:
    key = uuid.uuid4().hex
    service.buy("gala", 1)
    rules.start(rule)
    for _ in range(5):
        refused = service.buy("gala", 2, key)
        assert refused.status_code == 503, refused.text
        assert refused.json()["type"] == "/problems/unavailable"
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers["Idempotency-Key"] == f'"{key}"'
    assert service.audit("gala")["sold"] == 1  # who only looks is still served
    wait_until(lambda: not service.ready(), 1, "not ready")
    reasons = requests.get(f"{service.url}/readyz", timeout=5).json()["reasons"]
    assert reasons == ["the ledger cannot be written"]

    rules.end(rule)
    sold = service.buy("gala", 2, key)
    assert sold.status_code == 201, sold.text
    assert service.buy("gala", 2, key).json() == sold.json()
    assert service.audit("gala")["sold"] == 3
    wait_until(service.ready, 2, "ready again")


@pytest.mark.parametrize("rule", ["full", "sync-fails"])
def test_a_crowd_loses_nothing_while_the_disk_comes_and_goes(
    service: Soldout, rules: Rules, rule: str
) -> None:
    with crowding(service, "gala") as crowd:
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


def test_while_a_sync_takes_its_time_no_order_is_confirmed(service: Soldout, rules: Rules) -> None:
    """The worker that hangs in it is killed and replaced, more than once; buyers are told 202."""
    key = uuid.uuid4().hex
    rules.start("sync-blocks")
    pending = service.buy("gala", 2, key)
    assert rules.syncing()
    assert pending.status_code == 202, pending.text
    where = f"{service.url}{pending.headers['Location']}"
    for _ in range(3):
        assert service.buy("gala", 2, key).status_code == 202
    assert requests.get(where, timeout=5).status_code == 404

    rules.end("sync-blocks")
    wait_until(lambda: requests.get(where, timeout=5).status_code == 200, 5, "it is sold")
    order = requests.get(where, timeout=5).json()
    assert service.buy("gala", 2, key).json() == order
    assert service.audit("gala")["sold"] == 2


def test_a_slow_disk_is_only_slow(service: Soldout, rules: Rules) -> None:
    """A sync of most of a second, below the heartbeat limit, costs no worker its life."""
    workers = service.family()["worker"]
    for _ in range(2):
        rules.start("sync-blocks")
        slow = threading.Timer(WAIT_SECONDS * 0.8, rules.end, ["sync-blocks"])
        slow.start()
        sold = service.buy("gala", 1)
        slow.join()
        assert sold.status_code == 201, sold.text
    assert service.family()["worker"] == workers
