"""What the operator's pages say of Redis, as drills."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.drilling import (
    BACK_UP,
    WHEN,
    selling,
    sells_on,
)
from tests.docs.drills import Operator, sections
from tests.faults.crowd import (
    all_orders,
    check_sold_exactly,
)
from tests.harness import wait_until
from tests.servers.redis_server import RedisServer

DRILLED = {BACK_UP: ("Redis",), WHEN: ("Redis is gone, or came back older",)}


@pytest.fixture
def redis(operator: Operator) -> Iterator[RedisServer]:
    """A Redis below /var/lib/redis, from which the operator's service sells."""
    with RedisServer() as redis:
        (operator.host / "var" / "lib" / "redis").symlink_to(redis.data_dir)
        program = shutil.which("redis-cli")
        operator.stand_in("redis-cli", f'#!/bin/sh\nexec {program} -p {redis.port} "$@"\n')
        operator.units["redis-server"] = (redis.start, redis.kill)
        settings = operator.host / "etc" / "soldout.env"
        settings.write_text(
            f"{settings.read_text()}\nSOLDOUT_LOCK=redis\nSOLDOUT_REDIS_URL={redis.url}\n"
        )
        operator.type("systemctl restart soldout")
        wait_until(lambda: "selling" in operator.service.log(), 20, operator.service.log)
        yield redis


@pytest.mark.long  # not for its time: it needs redis-cli, which a developer's machine may lack
def test_redis_is_backed_up_and_restored(operator: Operator, redis: RedisServer) -> None:
    lines = sections(BACK_UP)["Redis"]
    with selling(operator) as crowd:
        for line in lines[:3]:
            operator.type(line)
        sells_on(crowd)
        crowd.stop()
    for line in lines[3:]:
        operator.type(line)
    wait_until(operator.service.ready, 20, operator.service.log)
    restored = all_orders(operator.service, "gala")
    given = {order["id"]: order for wish in crowd.wishes for order in wish.orders}
    assert 20 <= len(restored) < len(given)
    assert all(sale(given[order_id]) == sale(order) for order_id, order in restored.items())
    operator.service.audit("gala")


def sale(order: dict[str, Any]) -> dict[str, Any]:
    """Return an order but for its time.

    What was on its way when Redis was copied is settled by whoever starts from the copy.
    """
    return {name: value for name, value in order.items() if name != "sold_at"}


@pytest.mark.long  # as above
def test_redis_came_back_older(operator: Operator, redis: RedisServer) -> None:
    with selling(operator) as crowd:
        crowd.stop()
    older = Path(shutil.copytree(redis.data_dir, redis.directory / "older"))
    settled = batches(operator)
    assert operator.service.buy("gala").status_code == 201
    wait_until(lambda: batches(operator) > settled, 20, "its worker knows that it is committed")
    redis.kill()
    shutil.rmtree(redis.data_dir)
    shutil.copytree(older, redis.data_dir)
    redis.start()
    wait_until(lambda: "came back older" in operator.service.log(), 20, operator.service.log)
    operator.follow(WHEN, "Redis is gone, or came back older")
    check_sold_exactly(operator.service, crowd.wishes)


def batches(operator: Operator) -> int:
    return sum(pulse.batches for pulse in operator.service.hearts().pulses())
