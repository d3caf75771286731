"""The audit: finds a sound ledger consistent, also while it sells, and every kind of damage.

The damage is done to a real ledger file, behind the service's back and with its walls taken down.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import apsw
import pytest

from tests.unit.builders import (
    NOW,
    buy,
    buy_items,
    cancel,
    gala,
    gala_with_boxes,
    put,
    switch,
)
from workers import audit as auditing
from workers.audit import FINDINGS_MAX, Audit, audit
from workers.domain import (
    Command,
    Item,
    Outcome,
    Sold,
)
from workers.ledgers.sqlite import SqliteLedger
from workers.ledgers.sqlite_reader import SqliteReader
from workers.rules import settle


class Books:
    """A ledger file with the story of one event, and a way to go on with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ledger = SqliteLedger(path)
        self._tokens = count(1)

    def write(self, *commands: Command) -> list[Outcome]:
        settlement = settle(self._ledger.load(list(commands)), list(commands), NOW)
        self._ledger.commit(settlement, next(self._tokens))
        return settlement.outcomes

    def audit(self, event: str = "gala", pause: object = lambda: None) -> Audit:
        reader = SqliteReader(self.path)
        found = audit(reader, event, pause)  # type: ignore[arg-type]
        reader.close()
        assert found is not None
        return found

    def damage(self, sql: str) -> None:
        """Change what no part of the service would change."""
        connection = apsw.Connection(str(self.path))
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("DROP TRIGGER IF EXISTS journal_is_never_altered")
        connection.execute("DROP TRIGGER IF EXISTS journal_is_never_shortened")
        before = connection.total_changes()
        connection.execute(sql)
        assert connection.total_changes() > before, "nothing was damaged"
        connection.close()

    def close(self) -> None:
        self._ledger.close()


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    """Eight entries: created, two sales, paused, opened, a cancel, a change, a third sale."""
    books = Books(tmp_path / "ledger.db")
    books.write(put(gala_with_boxes(10, 3)))
    books.write(buy_items(1, [Item("standing", 2)], buyer="ann"))
    books.write(buy_items(2, [Item("standing", 1), Item("box", 1)], buyer="bob"))
    books.write(switch("paused"), switch("open"), cancel(1))
    books.write(put(gala_with_boxes(12, 3)), buy_items(3, [Item("standing", 3)]))
    yield books
    books.close()


def test_a_sound_ledger_is_found_consistent_and_counted(books: Books) -> None:
    assert books.audit() == Audit(
        event="gala",
        consistent=True,
        entries=8,
        capacity=15,
        sold=5,
        held=0,
        remaining=10,
        orders=2,
        tickets=5,
        cancelled_orders=1,
        findings=[],
    )


def test_an_event_without_sales_is_consistent(books: Books) -> None:
    books.write(put(gala(7)))
    opera = put(gala(7))
    books.write(type(opera)(opera.deadline_ms, "opera", "Opera", opera.ticket_types))
    assert books.audit("opera") == Audit("opera", entries=1, capacity=7, remaining=7)


def test_there_is_no_audit_of_an_event_that_is_not_there(books: Books) -> None:
    reader = SqliteReader(books.path)
    assert audit(reader, "opera", lambda: None) is None
    reader.close()


def test_an_event_that_was_emptied_and_sold_again_is_consistent(books: Books) -> None:
    books.write(cancel(2), cancel(3), put(gala(2)), buy(4, 2))
    found = books.audit()
    assert found.consistent, found.findings
    assert (found.orders, found.cancelled_orders, found.sold) == (1, 3, 2)


@pytest.mark.parametrize("page", [1, 2, 3, 500])
def test_an_audit_stays_consistent_while_sales_go_on_between_its_pages(
    books: Books, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(auditing, "PAGE", page)
    keys = count(100)
    cancelled = count(3)

    def go_on_selling() -> None:
        some, more, key = next(keys), next(keys), next(cancelled)
        books.write(
            put(gala_with_boxes(1_000 + some, 3)),
            buy_items(some, [Item("standing", 2)]),
            switch("paused"),
            switch("open"),
            buy_items(more, [Item("standing", 1)]),
            cancel(key if key == 3 else some),
        )

    found = books.audit(pause=go_on_selling)
    assert found.consistent, found.findings
    assert (found.entries, found.capacity, found.orders) == (8, 15, 2)
    assert next(keys) > 100  # sales did go on
    after = books.audit()
    assert after.consistent, after.findings
    assert after.entries > 8


def test_a_long_journal_is_read_in_pages(books: Books) -> None:
    books.write(put(gala_with_boxes(1_500, 3)))
    outcomes = books.write(*(buy_items(key, [Item("standing", 1)]) for key in range(10, 1_210)))
    assert all(isinstance(outcome, Sold) for outcome in outcomes)
    pauses: list[int] = []
    found = books.audit(pause=lambda: pauses.append(1))
    assert found.consistent, found.findings
    assert (found.entries, found.orders) == (1_209, 1_202)
    assert len(pauses) >= 3 * 1_200 // 500


DAMAGE = {
    "a sold ticket is not counted": (
        "UPDATE ticket_types SET sold = sold - 1, remaining = remaining + 1 WHERE id = 'standing'"
    ),
    "a ticket is counted that was not sold": (
        "UPDATE ticket_types SET sold = sold + 1, remaining = remaining - 1 WHERE id = 'box'"
    ),
    "tickets are held by nobody": (
        "UPDATE ticket_types SET held = 1, remaining = remaining - 1 WHERE id = 'box'"
    ),
    "sold of one type is counted as the other": (
        "UPDATE ticket_types SET sold = CASE id WHEN 'box' THEN 2 ELSE 3 END"
    ),
    "the capacity is another": (
        "UPDATE ticket_types SET capacity = capacity + 1, remaining = remaining + 1"
    ),
    "the capacity is below what is sold": "UPDATE ticket_types SET capacity = 2",
    "a ticket type is gone": "DELETE FROM ticket_types WHERE id = 'box'",
    "a ticket type has another name": "UPDATE ticket_types SET id = 'stalls' WHERE id = 'box'",
    "the switch is another": "UPDATE events SET switch = 'paused'",
    "numbers would be given again": "UPDATE events SET next_number = next_number - 1",
    "numbers are left out": "UPDATE events SET next_number = next_number + 1",
    "entries would be written again": "UPDATE events SET entries = entries - 1",
    "more entries are counted than there are": "UPDATE events SET entries = entries + 1",
    "the first order is gone": "DELETE FROM orders WHERE entry = 2",
    "an order is gone": "DELETE FROM orders WHERE entry = 3",
    "the last order is gone": "DELETE FROM orders WHERE entry = 8",
    "all orders are gone": "DELETE FROM orders",
    "an order has another id": "UPDATE orders SET id = zeroblob(16) WHERE entry = 3",
    "an order has more items": (
        'UPDATE orders SET items = \'[["standing",2],["box",1]]\' WHERE entry = 3'
    ),
    "an order has other numbers": "UPDATE orders SET first_number = 4 WHERE entry = 3",
    "an order of another entry": "UPDATE orders SET entry = 7 WHERE entry = 3",
    "an order lost its cancelling": "UPDATE orders SET cancelled_entry = NULL",
    "an order was cancelled by nobody": "UPDATE orders SET cancelled_entry = 6 WHERE entry = 3",
    "an order was cancelled by another entry": (
        "UPDATE orders SET cancelled_entry = 7 WHERE cancelled_entry = 6"
    ),
    "an order came from nowhere": (
        "INSERT INTO orders SELECT event, 4, zeroblob(16), fingerprint, buyer, items, first_number,"
        " amount, currency, sold_at_ms, NULL FROM orders WHERE entry = 3"
    ),
    "an order came from the future": (
        "INSERT INTO orders SELECT event, 99, zeroblob(16), fingerprint, buyer, items, 8,"
        " amount, currency, sold_at_ms, NULL FROM orders WHERE entry = 3"
    ),
    "the first ticket is gone": "DELETE FROM tickets WHERE number = 1",
    "a ticket of a cancelled order is gone": "DELETE FROM tickets WHERE number = 2",
    "a ticket is gone": "DELETE FROM tickets WHERE number = 4",
    "the last ticket is gone": "DELETE FROM tickets WHERE number = 7",
    "a ticket is another order's": "UPDATE tickets SET entry = 8 WHERE number = 4",
    "two tickets changed places": "UPDATE tickets SET entry = 11 - entry WHERE number IN (4, 5)",
    "a ticket has another number": "UPDATE tickets SET number = 8 WHERE number = 7",
    "a ticket came from nowhere": "INSERT INTO tickets VALUES (1, 0, 2)",
    "a ticket came from below": "INSERT INTO tickets VALUES (1, -7, 2)",
    "a ticket came from the future": "INSERT INTO tickets VALUES (1, 99, 8)",
    "the first entry is missing": "DELETE FROM journal WHERE entry = 1",
    "an entry is missing": "DELETE FROM journal WHERE entry = 4",
    "the last entry is missing": "DELETE FROM journal WHERE entry = 8",
    "the whole journal is missing": "DELETE FROM journal",
    "a sale says other items": (
        "UPDATE journal SET fact = replace(fact, '\"standing\",3', '\"standing\",1')"
        " WHERE entry = 8"
    ),
    "a sale says another order": (
        "UPDATE journal SET fact = (SELECT fact FROM journal WHERE entry = 2) WHERE entry = 3"
    ),
    "a cancel says another sale": (
        "UPDATE journal SET fact = replace(fact, '\"sale\":2', '\"sale\":3') WHERE entry = 6"
    ),
    "an order is cancelled twice": (
        "UPDATE journal SET fact = (SELECT fact FROM journal WHERE entry = 6) WHERE entry = 7"
    ),
    "more was sold than there was": (
        "UPDATE journal SET fact = replace(fact, '\"standing\",10', '\"standing\",2')"
        " WHERE entry = 1"
    ),
    "an entry came from the future": (
        "INSERT INTO journal SELECT event, 99, at_ms, fact FROM journal WHERE entry = 4"
    ),
    "an entry cannot be read": 'UPDATE journal SET fact = \'{"kind":"gift"}\' WHERE entry = 4',
    "an entry is no JSON": "UPDATE journal SET fact = substr(fact, 1, 9) WHERE entry = 3",
    "an order cannot be read": "UPDATE orders SET items = '[' WHERE entry = 3",
}


@pytest.mark.parametrize("sql", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_found_where(books: Books, sql: str) -> None:
    books.damage(sql)
    found = books.audit()
    assert not found.consistent
    assert found.findings


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        ("an entry is missing", "journal entry 4 is missing"),
        ("the capacity is below what is sold", "standing: oversold by 2"),
        ("a ticket type is gone", "sold types are gone: ['box']"),
        ("an order is cancelled twice", "entry 7: cancelled twice"),
        ("more was sold than there was", "entry 3: standing oversold at that moment"),
        ("a ticket is another order's", "entry 3: ticket 4 is missing or another order's"),
        ("tickets are held by nobody", "box: held 1, by nobody"),
        ("the switch is another", "switch paused, not open"),
    ],
)
def test_a_finding_names_what_it_found(books: Books, damage: str, finding: str) -> None:
    books.damage(DAMAGE[damage])
    assert finding in books.audit().findings


def test_a_gap_in_the_numbers_is_found_though_all_else_agrees(books: Books) -> None:
    books.damage("UPDATE tickets SET number = 8 WHERE number = 5")
    books.damage("UPDATE orders SET first_number = 6 WHERE entry = 8")
    books.damage(
        """UPDATE journal SET fact = replace(fact, '"first_number":5', '"first_number":6')"""
    )
    books.damage("UPDATE events SET next_number = next_number + 1")
    assert books.audit().findings == ["entry 8: number 6"]


def test_entries_that_are_not_counted_are_found_also_if_they_changed_nothing(books: Books) -> None:
    books.write(switch("paused"), switch("open"))
    books.damage("UPDATE events SET entries = entries - 2")
    assert books.audit().findings == ["an entry is not counted"]


def test_a_ledger_that_is_wholly_wrong_is_told_in_a_bounded_answer(books: Books) -> None:
    books.write(put(gala_with_boxes(1_500, 3)))
    books.write(*(buy_items(key, [Item("standing", 1)]) for key in range(10, 310)))
    books.damage("DELETE FROM tickets")
    found = books.audit()
    assert not found.consistent
    assert len(found.findings) == FINDINGS_MAX


def test_damage_to_one_event_is_not_laid_at_anothers_door(books: Books) -> None:
    opera = put(gala(7))
    books.write(type(opera)(opera.deadline_ms, "opera", "Opera", opera.ticket_types))
    books.write(buy(9, event="opera"))
    books.damage("UPDATE ticket_types SET sold = sold + 1 WHERE event = 1")
    assert books.audit("opera").consistent
    assert not books.audit("gala").consistent
