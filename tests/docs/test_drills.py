"""Each page of docs/operations is a drill: its commands are typed while a crowd buys.

Afterwards every buyer's order must be there, or what the page says of those that are not.
"""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from pathlib import Path

import apsw

from tests.docs import test_bad_days, test_redis_drills
from tests.docs.drilling import (
    BACK_UP,
    PAGES,
    UPGRADE,
    ledger,
    selling,
    sells_on,
)
from tests.docs.drills import Operator, sections
from tests.faults.crowd import (
    all_orders,
    check_sold_exactly,
)
from tests.harness import STOP_SECONDS, wait_until
from workers.ledgers.sqlite_file import open_file

DRILLED = {
    "deploy.md": ("Install",),
    BACK_UP: (
        *("Back up", "Notice that one failed", "Try a backup out"),
        *("Restore", "Undo a restore", "On another host"),
    ),
    UPGRADE: ("Upgrade", "Go back"),
}


def test_every_command_of_the_pages_is_in_a_drill() -> None:
    """Each file of drills types all that it says here: see `every_line_is_typed`."""
    drilled = {
        (page, title)
        for drills in (DRILLED, test_bad_days.DRILLED, test_redis_drills.DRILLED)
        for page, titles in drills.items()
        for title in titles
    }
    assert drilled == {(page, title) for page in PAGES for title in sections(page)}


def test_a_host_is_set_up_and_sells(operator: Operator) -> None:
    assert (operator.service.data_dir / "admin-key").exists()
    with selling(operator) as crowd:
        sells_on(crowd)
        crowd.stop()
    check_sold_exactly(operator.service, crowd.wishes)
    assert operator.type("soldout event show gala").splitlines()[0].startswith("gala (The gala)")


def test_settings_are_taken_as_they_stand(operator: Operator) -> None:
    """The service and the commands find the same, whatever a shell would make of it."""
    key = "a&b=$HOME;`id`#-and-more-than-enough"
    with (operator.host / "etc" / "soldout.env").open("a") as settings:
        settings.write(f"SOLDOUT_ADMIN_KEY={key}\nOTEL_SERVICE_NAME=two touch ran")
    operator.type("systemctl restart soldout")
    wait_until(operator.service.ready, 20, operator.service.log)
    assert operator.service.env["SOLDOUT_ADMIN_KEY"] == key
    operator.type("soldout event put gala --capacity 5")
    assert operator.service.buy("gala").status_code == 201
    assert not (operator.host / "ran").exists()


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


def test_a_backup_that_fails_leaves_the_mark_of_the_last_one(operator: Operator) -> None:
    backups = operator.host / "var/backups/soldout"
    before = int(time.time())
    told = operator.follow(BACK_UP, "Notice that one failed")
    assert before <= int(told.split()[-1]) <= time.time()
    assert len(list(backups.iterdir())) == 1
    mark = operator.host / "var/lib/prometheus/node-exporter/soldout.prom"
    mark.write_text("soldout_backup_success_timestamp_seconds 1\n")
    backups.rename(backups.with_name("gone"))
    assert "there is no folder" in operator.type("! /etc/cron.daily/soldout-backup 2>&1")
    assert mark.read_text() == "soldout_backup_success_timestamp_seconds 1\n"
    assert [path.name for path in mark.parent.iterdir()] == ["soldout.prom"]


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
