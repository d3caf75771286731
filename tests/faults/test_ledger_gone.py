"""A ledger that goes away or is damaged under a running service: it says so, and sells nothing."""

from __future__ import annotations

import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from tests.faults.crowd import Wish
from tests.faults.line import Line
from tests.harness import STOP_SECONDS, Soldout, alive, ended, serving, wait_until
from tests.onlooker import looking

EVENT = "gala"


def remove(ledger: Path) -> None:
    ledger.unlink()


def replace(ledger: Path) -> None:
    """Put a copy in its place, as who restores a backup under a running service does."""
    shutil.copy(ledger, ledger.with_suffix(".copy"))
    os.replace(ledger.with_suffix(".copy"), ledger)  # noqa: PTH105 - beside `replace` of our own


@pytest.mark.parametrize("take_away", [remove, replace])
def test_a_ledger_that_is_taken_away_ends_the_service_and_says_so(
    tmp_path: Path, take_away: Callable[[Path], None]
) -> None:
    with serving(tmp_path / "data") as service:
        service.put_event(EVENT, capacity=10)
        assert service.buy(EVENT).status_code == 201
        take_away(service.data_dir / "ledger.db")
        assert service.process is not None
        assert service.process.wait(STOP_SECONDS) == 1
        (line,) = (line for line in service.log().splitlines() if "removed or replaced" in line)
        assert str(service.data_dir / "ledger.db") in line


def damage(ledger: Path, table: str) -> None:
    """Overwrite the page on which a table, or an index, begins."""
    connection = apsw.Connection(str(ledger))
    page_bytes = connection.execute("PRAGMA page_size").get
    page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).get
    connection.close()
    with ledger.open("r+b") as file:
        file.seek((page - 1) * page_bytes)
        file.write(b"\xff" * page_bytes)


def sell_and_stop(tmp_path: Path, wish: Wish) -> Soldout:
    """Sell once, and stop in order, so that all is in the file."""
    with serving(tmp_path / "data") as service:
        service.put_event(EVENT, capacity=10)
        with Line(service.port) as line:
            wish.attempts.append(line.ask(wish.request()))
        assert wish.attempts[0].status == 201
    return service


@contextmanager
def damaged_while_it_runs(tmp_path: Path, table: str, wish: Wish) -> Iterator[Soldout]:
    """A service whose ledger was damaged after its start, and whose workers remember no page."""
    with serving(sell_and_stop(tmp_path, wish).data_dir) as service:
        damage(service.data_dir / "ledger.db", table)
        workers = service.family()["worker"]
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(alive, workers)), STOP_SECONDS, "they are dead")
        yield service


TABLES = pytest.mark.parametrize("table", ["sqlite_autoindex_orders_1", "orders", "tickets"])


@TABLES
def test_a_ledger_that_was_damaged_before_the_start_is_refused_in_one_line(
    tmp_path: Path, table: str
) -> None:
    before = sell_and_stop(tmp_path, Wish(uuid.uuid4().hex, EVENT, 1))
    damage(before.data_dir / "ledger.db", table)
    with ended(Soldout(before.data_dir)) as service:
        process = service.launch().process
        assert process is not None
        assert process.wait(STOP_SECONDS) == 1
        (line,) = (line for line in service.log().splitlines() if "is damaged" in line)
        assert line.startswith("soldout: the ledger is damaged, restore a backup")


@TABLES
@pytest.mark.parametrize("again", [True, False], ids=["the same purchase", "another one"])
def test_a_damaged_ledger_confirms_nothing_that_it_cannot_read_and_ends_the_service(
    tmp_path: Path, table: str, again: bool
) -> None:
    wish = Wish(uuid.uuid4().hex, EVENT, 1)
    with damaged_while_it_runs(tmp_path, table, wish) as service:
        asked = Wish(uuid.uuid4().hex, EVENT, 1)
        if again and table != "tickets":  # where a replay does not look
            asked = wish
        with Line(service.port) as line:
            answer = line.ask(asked.request())
        assert answer.status in (0, 202, 503), "it was not confirmed"
        assert service.process is not None
        assert service.process.wait(STOP_SECONDS) == 1
        assert "the ledger is damaged, restore a backup" in service.log()


def test_an_order_on_a_damaged_page_is_not_denied(tmp_path: Path) -> None:
    """Who looks for it is not told that there is none."""
    wish = Wish(uuid.uuid4().hex, EVENT, 1)
    with damaged_while_it_runs(tmp_path, "orders", wish) as service, Line(service.port) as line:
        path = f"/orders/{wish.orders[0]['id']}"
        answer = line.ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert (answer.status, answer.said["detail"]) == (503, "The ledger is damaged.")
        assert "the ledger is damaged, restore a backup" in service.log()


def test_who_looks_on_while_the_ledger_is_damaged_is_sent_away_in_one_line(
    tmp_path: Path,
) -> None:
    """Onlookers come back every two seconds, and there may be thousands."""
    before = sell_and_stop(tmp_path, Wish(uuid.uuid4().hex, EVENT, 1))
    with serving(before.data_dir, web_processes=1) as service:
        damage(service.data_dir / "ledger.db", "ticket_types")
        began = time.monotonic()
        for _ in range(6):
            with looking(service.port) as onlooker:
                assert onlooker.status == 200
                onlooker.until_ended()
        said = [line for line in service.log().splitlines() if "streams end" in line]
        assert 1 <= len(said) <= 1 + time.monotonic() - began, "once a second at most"
        assert all("the ledger is damaged, restore a backup" in line for line in said)
        assert "Traceback" not in service.log()


def test_an_operator_is_told_that_the_ledger_cannot_be_read_and_all_else(tmp_path: Path) -> None:
    before = sell_and_stop(tmp_path, Wish(uuid.uuid4().hex, EVENT, 1))
    with serving(before.data_dir, web_processes=1) as service:
        damage(service.data_dir / "ledger.db", "ticket_types")
        answer = service.admin("GET", "/admin/now")
        assert answer.status_code == 200
        told = answer.json()
        assert (told["ledger"], told["events"]) == ("unreadable", [])
        assert len(told["workers"]) == 2
