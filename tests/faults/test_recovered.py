"""What a crash left in the log is on the disk before a ledger that opens it says what it holds."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

import pytest

from tests.faults.counter import look
from tests.faults.disk import Disk, mounted
from tests.unit.builders import NOW, buy, gala, order_id, put
from workers.domain import Command, Outcome, Sold
from workers.ledgers.sqlite import SqliteLedger
from workers.rules import settle

ORDERS = 3


class WatchedDisk(Disk):
    """Remembers what was synced, in order, with what the file held."""

    def __init__(self) -> None:
        self.syncs: list[tuple[str, bytes]] = []

    def synced(self, suffix: str, read: object) -> None:
        assert callable(read)
        self.syncs.append((suffix, read()))


def write(ledger: SqliteLedger, token: int, *commands: Command) -> list[Outcome]:
    settlement = settle(ledger.load(list(commands)), list(commands), NOW)
    ledger.commit(settlement, token)
    return settlement.outcomes


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """A ledger as a crash leaves it: its orders stand in the log alone, synced or not."""
    running, crashed = tmp_path / "running", tmp_path / "crashed"
    running.mkdir()
    crashed.mkdir()
    tokens = count(1)
    ledger = SqliteLedger(running / "ledger.db")
    write(ledger, next(tokens), put(gala()))
    for key in range(1, ORDERS + 1):
        write(ledger, next(tokens), buy(key))
    for name in ("ledger.db", "ledger.db-wal"):  # all that outlives its processes
        shutil.copy(running / name, crashed / name)
    ledger.close()
    return crashed / "ledger.db"


def test_log_and_file_are_synced_before_a_ledger_says_what_it_recovered(crashed: Path) -> None:
    recovered = crashed.with_suffix(".db-wal").read_bytes()
    disk = WatchedDisk()
    with mounted(disk):
        ledger = SqliteLedger(crashed)
        synced = list(disk.syncs)  # and nobody was told anything so far
        outcomes = write(ledger, 100, *(buy(key) for key in range(1, ORDERS + 1)))
        assert disk.syncs == synced, "a replay has nothing to write"
        ledger.close()
    assert all(isinstance(outcome, Sold) and outcome.replayed for outcome in outcomes)
    assert [suffix for suffix, _ in synced] == [".db-wal", ".db"], "the log first"
    assert synced[0][1].startswith(recovered)


def test_the_file_that_was_synced_holds_all_that_was_recovered(
    crashed: Path, tmp_path: Path
) -> None:
    """So nothing depends on the log any more, which the next writer may begin anew."""
    disk = WatchedDisk()
    with mounted(disk):
        ledger = SqliteLedger(crashed)
        files = dict(disk.syncs)  # before it is closed, which writes them once more
        ledger.close()
    after = tmp_path / "after.db"
    after.write_bytes(files.get(".db", b""))
    SqliteLedger(after).close()
    ids = [order_id(key) for key in range(1, ORDERS + 1)]
    assert look(after, ids)[1] == ORDERS
