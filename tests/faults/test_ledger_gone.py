"""A ledger that goes away or is damaged under a running service: it says so, and sells nothing."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from tests.faults.crowd import Line, Wish
from tests.harness import STOP_SECONDS, Soldout, serving

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


def damaged(tmp_path: Path, table: str, wish: Wish) -> Soldout:
    """Sell, stop, damage the ledger, and return the service that is to run on it."""
    with serving(tmp_path / "data") as service:
        service.put_event(EVENT, capacity=10)
        with Line(service.port) as line:
            wish.attempts.append(line.ask(wish.request()))
        assert wish.attempts[0].status == 201
    damage(service.data_dir / "ledger.db", table)
    return service


@pytest.mark.parametrize("table", ["sqlite_autoindex_orders_1", "orders"])
@pytest.mark.parametrize("again", [True, False], ids=["the same purchase", "another one"])
def test_a_damaged_ledger_confirms_nothing_that_it_cannot_read_and_ends_the_service(
    tmp_path: Path, table: str, again: bool
) -> None:
    wish = Wish(uuid.uuid4().hex, EVENT, 1)
    before = damaged(tmp_path, table, wish)
    with serving(before.data_dir) as service:
        asked = wish if again else Wish(uuid.uuid4().hex, EVENT, 1)
        with Line(service.port) as line:
            answer = line.ask(asked.request())
        assert answer.status in (0, 202, 503), "it was not confirmed"
        assert service.process is not None
        assert service.process.wait(STOP_SECONDS) == 1
        assert "the ledger is damaged, restore a backup" in service.log()


def test_an_order_on_a_damaged_page_is_not_denied(tmp_path: Path) -> None:
    """Who looks for it is not told that there is none."""
    wish = Wish(uuid.uuid4().hex, EVENT, 1)
    before = damaged(tmp_path, "orders", wish)
    with serving(before.data_dir) as service, Line(service.port) as line:
        path = f"/orders/{wish.orders[0]['id']}"
        answer = line.ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert (answer.status, answer.said["detail"]) == (500, "The ledger is damaged.")
        assert "the ledger is damaged, restore a backup" in service.log()
