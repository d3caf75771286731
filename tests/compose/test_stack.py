"""The stack in real containers: it sells, on several hosts, whatever part of it is killed."""

from __future__ import annotations

import secrets

import pytest

from tests.compose.stack import Stack
from tests.faults.crowd import PLENTY, check_sold_exactly, crowding, until
from tests.harness import wait_until

pytestmark = [pytest.mark.compose, pytest.mark.long, pytest.mark.timeout(300)]

PARTS = ("redis", "workers", "web")
LINES = 8  # buyers: each is answered before it buys again
SEEN_SECONDS = 10  # for a host's first heartbeat
BACK_SECONDS = 10  # of which Docker takes some to let a name be found again


@pytest.fixture
def stadium(stack: Stack) -> str:
    """An event with more tickets than any crowd buys."""
    event = f"stadium-{secrets.token_hex(4)}"
    stack.service.put_event(event, capacity=PLENTY)
    return event


def test_what_is_put_on_sale_is_sold_once_for_each_key(stack: Stack, stadium: str) -> None:
    key = secrets.token_hex(16)
    sold, again = (stack.service.buy(stadium, 2, key) for _ in range(2))
    assert (sold.status_code, again.status_code) == (201, 201), sold.text
    assert again.json() == sold.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert stack.service.audit(stadium)["sold"] == 2


@pytest.mark.parametrize("name", PARTS)
def test_a_container_may_do_no_more_than_its_work(stack: Stack, name: str) -> None:
    container = stack.containers(name)[0]
    said = stack.engine.docker("exec", container, "cat", "/proc/1/status")
    status = dict(line.split(":\t", 1) for line in said.splitlines())
    assert "0" not in status["Uid"].split()
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    refused = stack.engine.docker("exec", container, "sh", "-c", "touch /x 2>&1 || true")
    assert "Read-only file system" in refused


def test_the_admin_key_is_its_readers_only(stack: Stack) -> None:
    mode = stack.engine.compose("exec", "-T", "web", "stat", "-c", "%a %U", "/data/admin-key")
    assert mode.split() == ["600", "soldout"]
    assert stack.service.admin_key not in stack.log()


def test_three_hosts_of_workers_sell_from_one_stock(stack: Stack, stadium: str) -> None:
    stack.up(workers=3)
    wait_until(lambda: len(stack.hosts_of_workers()) == 3, SEEN_SECONDS, stack.log)
    with crowding(stack.service, stadium, lines=LINES) as crowd:
        crowd.stop()
    crowd.tell()
    assert set(crowd.statuses()) == {201}
    check_sold_exactly(stack.service, crowd.wishes)


def test_a_host_of_workers_may_be_killed(stack: Stack, stadium: str) -> None:
    stack.up(workers=3)
    with crowding(stack.service, stadium, lines=LINES) as crowd:
        stack.engine.docker("kill", stack.containers("workers")[0])
        sold = crowd.sold()
        until(lambda: crowd.sold() > sold + 200, "the others sell")
        crowd.stop()
    crowd.tell()
    assert set(crowd.statuses()) <= {201, 202}
    check_sold_exactly(stack.service, crowd.wishes)


def test_redis_may_be_stopped_and_started(stack: Stack, stadium: str) -> None:
    with crowding(stack.service, stadium, lines=LINES) as crowd:
        stack.engine.compose("stop", "redis")
        refused = stack.service.buy(stadium)
        assert refused.status_code == 503, refused.text
        assert int(refused.headers["Retry-After"]) > 0
        assert not stack.service.ready()
        stack.engine.compose("start", "redis")
        sold = crowd.sold()
        until(lambda: crowd.sold() > sold + 200, "it sells again", BACK_SECONDS)
        crowd.stop()
    crowd.tell()
    assert set(crowd.statuses()) <= {201, 202, 503}
    check_sold_exactly(stack.service, crowd.wishes)


def test_what_is_sold_outlives_the_containers(stack: Stack, stadium: str) -> None:
    key = secrets.token_hex(16)
    order = stack.service.buy(stadium, 2, key).json()
    containers = [container for name in PARTS for container in stack.containers(name)]
    stack.engine.compose("stop")
    assert {stack.exit_status(container) for container in containers} == {0}
    stack.engine.compose("down")
    stack.up()
    again = stack.service.buy(stadium, 2, key)
    assert (again.status_code, again.json()) == (201, order)
    assert stack.service.audit(stadium)["sold"] == 2
