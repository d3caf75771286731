"""The embedded ledger: what every ledger owes, the walls of its schema, and files it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from msgspec.structs import replace

from tests.contract.ledger_contract import Books, LedgerContract, kinds
from tests.unit.builders import buy, cancel, gala, order_id, put, switch
from workers.domain import Sold
from workers.errors import BootFailed, Inconsistent, LedgerDamaged, LedgerFault
from workers.ledgers import sqlite_file
from workers.ledgers.sqlite import SqliteLedger
from workers.ledgers.sqlite_reader import SqliteReader
from workers.rules import Settlement


class SqlitePlace:
    """One file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def ledger(self) -> SqliteLedger:
        return SqliteLedger(self.path)

    def reader(self) -> SqliteReader:
        return SqliteReader(self.path)


class TestSqliteLedger(LedgerContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> SqlitePlace:
        return SqlitePlace(tmp_path / "ledger.db")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger lies."""
    return tmp_path / "ledger.db"


@pytest.fixture
def books(path: Path) -> Iterator[Books]:
    """A ledger that has sold three of ten tickets."""
    books = Books(SqlitePlace(path))
    books.write(put(gala(10)), buy(1, 2, buyer="ann"), buy(2, 1, buyer="ann"))
    yield books
    books.close()


def raw(path: Path) -> apsw.Connection:
    """Open the file behind the service's back."""
    return apsw.Connection(str(path))


# --- the last walls: what `settle` would never decide is refused by the schema --------------------


def oversell(settlement: Settlement) -> None:
    settlement.events["gala"].ticket_types[0].sold = 11


def hold_less_than_none(settlement: Settlement) -> None:
    settlement.events["gala"].ticket_types[0].held = -1


def sell_less_than_none(settlement: Settlement) -> None:
    settlement.events["gala"].ticket_types[0].sold = -1


def give_a_number_again(settlement: Settlement) -> None:
    settlement.sales[0] = replace(settlement.sales[0], first_number=3)


def sell_a_key_again(settlement: Settlement) -> None:
    settlement.sales[0] = replace(settlement.sales[0], id=order_id(1))


def sell_under_no_key(settlement: Settlement) -> None:
    settlement.sales[0] = replace(settlement.sales[0], id="")


def write_an_entry_again(settlement: Settlement) -> None:
    settlement.entries[0] = replace(settlement.entries[0], number=3)


def write_an_order_again(settlement: Settlement) -> None:
    settlement.sales[0] = replace(settlement.sales[0], entry=3)


def count_less_than_none(settlement: Settlement) -> None:
    settlement.bought["gala", "ann"] = -1


@pytest.mark.parametrize(
    "break_a_rule",
    [
        oversell,
        sell_less_than_none,
        hold_less_than_none,
        give_a_number_again,
        sell_a_key_again,
        sell_under_no_key,
        write_an_entry_again,
        write_an_order_again,
        count_less_than_none,
    ],
)
def test_a_batch_that_breaks_a_rule_is_refused_whole_and_the_next_one_sells(
    books: Books, break_a_rule: Callable[[Settlement], None]
) -> None:
    before = books.everything()
    settlement = books.decide(buy(3), switch("paused"), buy(4), switch("open"))
    break_a_rule(settlement)
    with pytest.raises(Inconsistent, match=r"the ledger refused a row|no order's id"):
        books.workers[0].commit(settlement, books.token + 1)
    assert books.everything() == before
    assert kinds(books.write(buy(3), worker=1)) == [Sold]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE ticket_types SET remaining = remaining - 1",
        "UPDATE ticket_types SET sold = sold + 1",
        "UPDATE ticket_types SET sold = 11, remaining = -1",
        "UPDATE events SET switch = 'ajar'",
        "UPDATE journal SET fact = '{}'",
        "UPDATE journal SET at_ms = at_ms + 1 WHERE entry = 2",
        "DELETE FROM journal WHERE entry = 3",
        "INSERT INTO journal SELECT * FROM journal WHERE entry = 3",
        "INSERT INTO tickets VALUES (1, 3, 99)",
        "INSERT INTO orders SELECT * FROM orders WHERE entry = 2",
        "UPDATE orders SET id = (SELECT id FROM orders WHERE entry = 2) WHERE entry = 3",
        "UPDATE orders SET id = x'00'",
    ],
)
def test_not_even_by_hand_a_rule_is_broken_by_mistake(books: Books, path: Path, sql: str) -> None:
    before = books.everything()
    connection = raw(path)
    with pytest.raises(apsw.ConstraintError):
        connection.execute(sql)
    connection.close()
    assert books.everything() == before


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM orders",
        "UPDATE events SET entries = 0",
        "INSERT INTO tickets VALUES (1, 99, 99)",
        "CREATE TABLE more (n)",
    ],
)
def test_a_web_process_can_only_read(books: Books, sql: str) -> None:
    reader: Any = books.reader
    with pytest.raises(apsw.ReadOnlyError):
        reader._connection.execute(sql)


# --- faults of operation --------------------------------------------------------------------------


def test_on_a_full_disk_nothing_is_sold_by_half_and_with_room_again_all_goes_on(
    books: Books,
) -> None:
    worker: Any = books.workers[0]
    worker._connection.execute("PRAGMA max_page_count = 1")  # SQLite takes what there is already
    before = books.everything()
    wishes = [buy(key, 900, buyer="b" * 250) for key in range(10, 60)]
    with pytest.raises(LedgerFault, match="FullError"):
        books.write(put(gala(100_000)), *wishes)
    assert books.everything() == before
    worker._connection.execute("PRAGMA max_page_count = 1000000")
    outcomes = books.write(put(gala(100_000)), *wishes)
    assert kinds(outcomes[1:]) == [Sold] * 50


def test_a_file_that_another_program_keeps_locked_is_a_fault_and_no_refusal(
    books: Books, path: Path
) -> None:
    worker: Any = books.workers[0]
    worker._connection.set_busy_timeout(1)
    other = raw(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerFault, match="BusyError"):
        books.write(buy(3))
    other.close()
    assert kinds(books.write(buy(3))) == [Sold]


def test_a_batch_that_meets_an_unreadable_row_is_given_up_and_holds_up_nobody(
    books: Books, path: Path
) -> None:
    connection = raw(path)
    connection.execute("UPDATE orders SET items = '[' WHERE entry = 3")
    connection.close()
    with pytest.raises(Inconsistent, match="cannot be read"):
        books.write(buy(3), cancel(2), worker=0)
    other: Any = books.workers[1]
    other._connection.set_busy_timeout(1)
    assert kinds(books.write(buy(3), worker=1)) == [Sold]


def test_an_id_that_is_no_uuid_is_given_up_and_does_not_end_the_worker(books: Books) -> None:
    with pytest.raises(Inconsistent):
        books.write(replace(cancel(1), id="not-a-uuid"))
    assert kinds(books.write(buy(3))) == [Sold]


def test_a_commit_that_was_cut_off_is_rolled_back_by_who_comes_next(
    books: Books, path: Path
) -> None:
    """As if the process had been killed between two statements of its transaction."""
    before = books.everything()
    cut = apsw.Connection(str(path))
    cut.execute("BEGIN IMMEDIATE")
    cut.execute("UPDATE ticket_types SET sold = 9, remaining = 1")
    cut.execute("DELETE FROM tickets")
    cut.close()
    assert books.everything() == before
    assert kinds(books.write(buy(3))) == [Sold]


# --- files that are refused -----------------------------------------------------------------------


def refusal(open_file: Callable[[Path], object], path: Path) -> str:
    """Return the one line that tells why a file is refused, which must leave it as it was."""
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(BootFailed) as caught:
        open_file(path)
    assert (path.read_bytes() if path.is_file() else None) == before
    line = str(caught.value)
    assert str(path) in line
    assert line.isprintable()
    return line


both_ends = pytest.mark.parametrize("open_file", [SqliteLedger, SqliteReader])


@both_ends
def test_another_programs_database_is_refused_and_left_as_it_is(
    path: Path, open_file: Callable[[Path], object]
) -> None:
    connection = raw(path)
    connection.execute("CREATE TABLE ledger (id, fence); INSERT INTO ledger VALUES (1, 2)")
    connection.close()
    assert "not a soldout ledger" in refusal(open_file, path)


@both_ends
@pytest.mark.parametrize("version", [0, 2, 99])
def test_a_ledger_of_another_version_is_refused_and_both_versions_are_told(
    books: Books, path: Path, open_file: Callable[[Path], object], version: int
) -> None:
    books.close()
    connection = raw(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    line = refusal(open_file, path)
    assert f"version {version};" in line
    assert f"knows {sqlite_file.SCHEMA_VERSION}" in line


@both_ends
@pytest.mark.parametrize(
    "content", [b"garbage", b"\x00" * 5_000, b"SQLite format 3\x00" + b"\xff" * 9_000]
)
def test_a_file_that_is_no_database_is_refused(
    path: Path, open_file: Callable[[Path], object], content: bytes
) -> None:
    path.write_bytes(content)
    refusal(open_file, path)


@both_ends
@pytest.mark.parametrize("kept", [50, 100, 4_096, 5_000, -4_096])
def test_a_ledger_that_was_cut_off_is_refused(
    books: Books, path: Path, open_file: Callable[[Path], object], kept: int
) -> None:
    books.close()
    path.write_bytes(path.read_bytes()[:kept])
    refusal(open_file, path)


def test_a_ledger_whose_pages_were_overwritten_is_told_damaged_and_sells_nothing(
    books: Books, path: Path
) -> None:
    books.close()
    data = path.read_bytes()
    sound = 2 * 4_096  # the schema, and which ledger it is
    path.write_bytes(data[:sound] + b"\xff" * (len(data) - sound))
    ledger, reader = SqliteLedger(path), SqliteReader(path)
    with pytest.raises(LedgerDamaged, match="restore a backup"):
        ledger.load([buy(1)])
    with pytest.raises(LedgerDamaged):
        reader.events()
    ledger.close()
    reader.close()


@both_ends
def test_a_directory_in_the_ledgers_place_is_refused(
    path: Path, open_file: Callable[[Path], object]
) -> None:
    path.mkdir()
    refusal(open_file, path)


@both_ends
def test_a_directory_that_is_not_there_is_told(
    tmp_path: Path, open_file: Callable[[Path], object]
) -> None:
    with pytest.raises(BootFailed, match="nowhere"):
        open_file(tmp_path / "nowhere" / "ledger.db")


def test_only_a_worker_makes_a_ledger(path: Path) -> None:
    refusal(SqliteReader, path)
    assert not path.exists()


@both_ends
def test_a_sqlite_that_may_corrupt_the_ledger_is_refused(
    books: Books, path: Path, open_file: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "OLDEST_SAFE_SQLITE", (99, 0, 0))
    with pytest.raises(BootFailed, match=apsw.sqlite_lib_version()):
        open_file(path)


def test_every_commit_is_synced_before_it_returns(books: Books) -> None:
    """The setting that says so; that it does is shown with strace, where the service runs."""
    worker: Any = books.workers[0]
    assert worker._connection.execute("PRAGMA synchronous").get == 2
    assert worker._connection.execute("PRAGMA journal_mode").get == "wal"


def test_two_ledgers_have_different_ids_and_secrets(tmp_path: Path) -> None:
    seen = set()
    for name in ("a", "b"):
        SqliteLedger(tmp_path / name).close()
        reader = SqliteReader(tmp_path / name)
        seen |= {reader.ledger_id, reader.secret}
        reader.close()
    assert len(seen) == 4


@pytest.mark.parametrize(
    "spelling",
    ["0" * 31 + "1", f" {order_id(1)}", f"{order_id(1)}\t", "0-0000000-0000-0000-0000000000000001"],
)
def test_an_id_in_another_spelling_is_no_orders_id(books: Books, spelling: str) -> None:
    """It would be found by its bytes, and then not be recognized: sold again, or never."""
    before = books.everything()
    with pytest.raises(Inconsistent, match="no order's id"):
        books.write(replace(buy(1, 2, buyer="ann"), id=spelling))
    assert books.everything() == before


def test_a_ledger_that_cannot_have_a_wal_is_not_sold_from(path: Path) -> None:
    """Without one the end of a commit is not synced; and SQLite does not say that it has none.

    Here the file system has no shared memory for it; an fsync that fails has the same end.
    """
    usual = apsw.vfs_names()[0]  # the default one comes first
    apsw.set_default_vfs("unix-dotfile")
    try:
        with pytest.raises(LedgerFault, match="cannot be put into WAL mode"):
            SqliteLedger(path)
    finally:
        apsw.set_default_vfs(usual)
    SqliteLedger(path).close()
