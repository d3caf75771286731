"""Each page of docs/operations is a drill: its commands are typed while a crowd buys.

Afterwards every buyer's order must be there, or what the page says of those that are not.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
import requests

from tests.docs.drills import Operator, sections
from tests.faults.crowd import (
    Crowd,
    Wish,
    all_orders,
    check_orders_are_there,
    check_sold_exactly,
    crowding,
    until,
)
from tests.faults.disk import Rules
from tests.harness import STOP_SECONDS, ended, wait_until
from tests.servers.redis_server import RedisServer
from workers.ledgers.sqlite_file import open_file

BACK_UP, UPGRADE, WHEN = "back-up-and-restore.md", "upgrade.md", "what-to-do-when.md"
PAGES = ("deploy.md", BACK_UP, UPGRADE, WHEN)
PLENTY = 100_000


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    """An operator whose host has soldout as deploy.md installs it."""
    operator = Operator(tmp_path)
    with ended(operator.service):
        operator.follow("deploy.md", "Install")
        assert operator.service.ready()
        yield operator


def selling(operator: Operator, capacity: int = PLENTY) -> Any:
    """Have a small crowd buy for the length of a `with` block."""
    operator.type(f"soldout event put gala --max-per-order none --capacity {capacity}")
    return crowding(operator.service, "gala", warm=20, lines=4, think_seconds=0.02)


def sells_on(crowd: Crowd) -> None:
    sold = crowd.sold()
    until(lambda: crowd.sold() > sold + 5, "it sells on")


def check_nothing_was_lost(operator: Operator, wishes: list[Wish]) -> dict[str, Any]:
    """Check that every order that a buyer was given is there, and that the audit agrees."""
    orders = all_orders(operator.service, "gala")
    check_orders_are_there(wishes, orders)
    assert operator.service.audit("gala")["orders"] <= len(orders)
    return orders


def test_every_command_of_the_pages_is_in_a_drill() -> None:
    drills = Path(__file__).read_text()
    for page in PAGES:
        assert sections(page), page
        for title in sections(page):
            typed = (f', "{title}")' in drills) or (f')["{title}"]' in drills)
            assert typed, f"{page}: nobody drills {title!r}"


def test_a_host_is_set_up_and_sells(operator: Operator) -> None:
    assert (operator.service.data_dir / "admin-key").exists()
    with selling(operator) as crowd:
        sells_on(crowd)
        crowd.stop()
    check_sold_exactly(operator.service, crowd.wishes)
    assert operator.type("soldout event show gala").splitlines()[0].startswith("gala (The gala)")


# --- backups ---


def test_a_backup_is_made_tried_out_restored_and_that_undone(operator: Operator) -> None:
    with selling(operator) as crowd:
        operator.follow(BACK_UP, "Back up")
        told = operator.follow(BACK_UP, "Try a backup out")
        assert "restored from" in told
        assert not (operator.host / "tmp" / "soldout-tryout").exists()
        sells_on(crowd)
        before = crowd.wishes
        crowd.stop()
    sold = operator.service.audit("gala")["sold"]

    told = operator.follow(BACK_UP, "Restore")
    assert "what was sold or changed after the backup is not in it" in told
    restored = all_orders(operator.service, "gala")
    assert 0 < len(restored) < len(before)
    bought = {order["id"]: order for wish in before for order in wish.orders}
    assert all(bought[order_id] == order for order_id, order in restored.items())

    operator.follow(BACK_UP, "Undo a restore")
    assert operator.service.audit("gala")["sold"] == sold
    check_sold_exactly(operator.service, crowd.wishes)


def test_another_host_sells_on_from_a_backup(operator: Operator) -> None:
    with selling(operator) as crowd:
        sells_on(crowd)
        crowd.stop()
    operator.follow(BACK_UP, "Back up")
    data_dir = operator.service.data_dir
    shutil.copy(data_dir / "admin-key", operator.host / "var/backups/soldout/admin-key")
    operator.service.kill()
    shutil.rmtree(data_dir)
    operator.follow(BACK_UP, "On another host")
    check_sold_exactly(operator.service, crowd.wishes)
    assert operator.service.buy("gala").status_code == 201


# --- upgrades ---


def test_an_upgrade_and_the_way_back_lose_nothing_while_a_crowd_buys(operator: Operator) -> None:
    with selling(operator) as crowd:
        first = operator.service.pid
        operator.follow(UPGRADE, "Upgrade")
        assert operator.service.pid != first
        assert (operator.host / "opt/soldout/current").readlink() == Path("0.2.0")
        sells_on(crowd)
        for line in sections(UPGRADE)["Go back"][:3]:  # what follows gives up what was sold
            operator.type(line)
        assert (operator.host / "opt/soldout/current").readlink() == Path("0.1.0")
        sells_on(crowd)
        crowd.stop()
    check_sold_exactly(operator.service, crowd.wishes)


def test_a_ledger_of_another_version_is_refused_and_the_old_one_restored(
    operator: Operator,
) -> None:
    with selling(operator) as crowd:
        operator.follow(UPGRADE, "Upgrade")
        crowd.stop()
    operator.type("systemctl stop soldout")
    with closing(open_file(ledger(operator), apsw.SQLITE_OPEN_READWRITE)) as newer:
        newer.execute("PRAGMA user_version = 2")
    process = operator.service.launch().process
    assert process is not None
    assert process.wait(STOP_SECONDS) == 1
    assert "has schema version 2; this soldout knows 1" in operator.service.log()
    for line in sections(UPGRADE)["Go back"][3:]:  # the way back is shut
        operator.type(line)
    assert operator.service.audit("gala")["orders"] >= 20


def ledger(operator: Operator) -> Path:
    return operator.service.data_dir / "ledger.db"


# --- bad days ---


def test_the_disk_is_full(operator: Operator) -> None:
    rules = Rules(operator.host / "rules")
    rules.put_under(operator.service._base)
    operator.type("systemctl restart soldout")
    wait_until(operator.service.ready, 20, operator.service.log)
    with selling(operator) as crowd:
        rules.start("full")
        until(lambda: crowd.statuses()[503] > 5, "nothing is sold")
        for line in sections(WHEN)["The disk is full"][:3]:
            told = operator.type(line)
        assert "NOT SELLING: the ledger cannot be written" in told
        rules.end("full")
        sells_on(crowd)
        crowd.stop()
    assert "consistent" in operator.follow(WHEN, "The disk is full")
    check_sold_exactly(operator.service, crowd.wishes)


def test_the_ledger_is_damaged(operator: Operator) -> None:
    with selling(operator) as crowd:
        operator.follow(BACK_UP, "Back up")
        backed_up = all_orders(operator.service, "gala")
        crowd.stop()
    operator.type("systemctl stop soldout")
    content = bytearray(ledger(operator).read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4_096] = b"\xff" * 4_096
    ledger(operator).write_bytes(content)
    process = operator.service.launch().process
    assert process is not None
    assert process.wait(STOP_SECONDS) == 1
    assert "the ledger is damaged, restore a backup" in operator.service.log()
    operator.follow(WHEN, "The ledger is damaged")
    assert (operator.host / "var/backups/soldout/damaged/ledger.db").read_bytes() == content
    restored = all_orders(operator.service, "gala")
    given = {order["id"]: order for wish in crowd.wishes for order in wish.orders}
    assert 20 <= len(restored) <= len(backed_up)
    assert all(given[order_id] == order for order_id, order in restored.items())


def test_a_worker_hangs(operator: Operator) -> None:
    with selling(operator) as crowd:
        worker = operator.service.family()["worker"][0]
        os.kill(worker, signal.SIGSTOP)
        wait_until(
            lambda: worker not in operator.service.family()["worker"], 20, operator.service.log
        )
        sells_on(crowd)
        told = operator.follow(WHEN, "A worker hangs")
        assert "AWAY" not in told
        assert '"status":"ready"' in told.replace(" ", "")
        crowd.stop()
    assert "hangs" in operator.service.log()
    check_sold_exactly(operator.service, crowd.wishes)


def test_the_host_died(operator: Operator) -> None:
    with selling(operator) as crowd:
        operator.service.kill()
        operator.follow(WHEN, "The host died")
        sells_on(crowd)
        crowd.stop()
    check_sold_exactly(operator.service, crowd.wishes)


def test_the_administrations_key_leaked(operator: Operator) -> None:
    key = operator.service.data_dir / "admin-key"
    leaked = key.read_text().strip()
    with selling(operator) as crowd:
        operator.follow(WHEN, "The administration's key leaked")
        sells_on(crowd)
        crowd.stop()
    assert (len(key.read_text()), key.stat().st_mode & 0o777) == (65, 0o600)
    pause = f"{operator.service.url}/events/gala/pause"
    bearer = {"Authorization": f"Bearer {leaked}"}
    assert requests.post(pause, headers=bearer, timeout=10).status_code == 403
    check_sold_exactly(operator.service, crowd.wishes)


def test_a_wrong_capacity_was_put(operator: Operator) -> None:
    with selling(operator, capacity=4_000) as crowd:
        operator.follow(WHEN, "A wrong capacity was put")
        until(lambda: operator.service.audit("gala")["remaining"] == 0, "it is sold out")
        crowd.stop()
    assert operator.service.audit("gala")["sold"] == 400
    check_nothing_was_lost(operator, crowd.wishes)


def test_an_event_must_be_stopped_now(operator: Operator) -> None:
    with selling(operator) as crowd:
        first = sections(WHEN)["An event must be stopped now"][0]
        operator.type(first)
        sold = operator.service.audit("gala")["sold"]
        assert "paused" in operator.follow(WHEN, "An event must be stopped now")
        refused = crowd.statuses()[409]
        until(lambda: crowd.statuses()[409] > refused + 20, "everybody is refused")
        assert operator.service.audit("gala")["sold"] == sold
        operator.type("soldout event resume gala")
        sells_on(crowd)
        crowd.stop()
    check_nothing_was_lost(operator, crowd.wishes)


def test_orders_of_one_buyer_must_be_cancelled(operator: Operator) -> None:
    with selling(operator) as crowd:
        for _ in range(3):
            bought = operator.service.buy("gala", 2, buyer="mallory@example.com")
            assert bought.status_code == 201
        told = operator.follow(WHEN, "Orders of one buyer must be cancelled")
        sells_on(crowd)
        crowd.stop()
    assert told.count("cancelled: order ") == 3
    rows = csv.DictReader(io.StringIO(operator.type("soldout order list gala --csv")))
    mallorys = {row["status"] for row in rows if row["buyer"] == "mallory@example.com"}
    assert mallorys == {"cancelled"}
    check_nothing_was_lost(operator, crowd.wishes)


# --- on Redis ---


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
    assert operator.service.buy("gala").status_code == 201
    redis.kill()
    shutil.rmtree(redis.data_dir)
    shutil.copytree(older, redis.data_dir)
    redis.start()
    wait_until(lambda: "came back older" in operator.service.log(), 20, operator.service.log)
    operator.follow(WHEN, "Redis is gone, or came back older")
    check_sold_exactly(operator.service, crowd.wishes)
