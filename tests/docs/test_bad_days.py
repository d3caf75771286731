"""docs/operations/what-to-do-when.md as drills: faults are made in a crowd, commands typed."""

from __future__ import annotations

import csv
import io
import os
import signal

import requests

from tests.docs.drilling import (
    BACK_UP,
    WHEN,
    check_nothing_was_lost,
    ledger,
    selling,
    sells_on,
)
from tests.docs.drills import Operator, sections
from tests.faults.crowd import (
    all_orders,
    check_sold_exactly,
    until,
)
from tests.faults.disk import Rules
from tests.harness import STOP_SECONDS, wait_until

DRILLED = {
    WHEN: (
        "The disk is full",
        "The ledger is damaged",
        "A worker hangs",
        "The host died",
        "The administration's key leaked",
        "A wrong capacity was put",
        "An event must be stopped now",
        "Orders of one buyer must be cancelled",
    )
}


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
    # Slowly: on a busy machine a faster crowd has bought 400 before the pause is typed.
    with selling(operator, capacity=4_000, think_seconds=0.1) as crowd:
        operator.follow(WHEN, "A wrong capacity was put")
        until(lambda: operator.service.audit("gala")["remaining"] == 0, "it is sold out", 60)
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
