"""Pages of an event's orders: bounded by their tickets too, and together they are every order."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from service.order_pages import CSV_COLUMNS, CSV_PAGE, TICKETS_MAX, read_page, write_csv
from tests.unit.builders import NOW, buy, cancel, gala, put
from workers.domain import Command, Order, Sold
from workers.ledgers.sqlite import SqliteLedger
from workers.ledgers.sqlite_reader import SqliteReader
from workers.rules import settle


class Books:
    """A ledger that sells, and a reader of it."""

    def __init__(self, path: Path) -> None:
        self._ledger = SqliteLedger(path)
        self.reader = SqliteReader(path)
        self._tokens = count(1)
        self._keys = count(1)
        self.write(put(gala(100_000)))

    def write(self, *commands: Command) -> list[Order]:
        """Settle a batch, and return the orders it made."""
        settlement = settle(self._ledger.load(list(commands)), list(commands), NOW)
        self._ledger.commit(settlement, next(self._tokens))
        return [outcome.order for outcome in settlement.outcomes if isinstance(outcome, Sold)]

    def sell(self, *quantities: int) -> list[str]:
        """Sell an order of each quantity, and return their ids."""
        orders = self.write(*(buy(next(self._keys), quantity) for quantity in quantities))
        assert len(orders) == len(quantities)
        return [order.id for order in orders]

    def page(self, after: int, limit: int) -> tuple[list[Order], bool]:
        return read_page(self.reader, "gala", after, limit)

    def pages(self, limit: int) -> list[list[Order]]:
        """Read page after page, as an administrator does who follows the links."""
        found: list[list[Order]] = []
        after, more = 0, True
        while more:
            page, more = self.page(after, limit)
            assert len(page) <= limit
            assert page or not found, "an empty page was announced"
            found.append(page)
            after = page[-1].entry if page else 0
        return found

    def lines(self) -> list[list[str]]:
        """Read the whole CSV."""
        return list(csv.reader("".join(write_csv(self.reader, "gala")).splitlines()))

    def close(self) -> None:
        self.reader.close()
        self._ledger.close()


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    books = Books(tmp_path / "ledger.db")
    yield books
    books.close()


def ids(orders: list[Order]) -> list[str]:
    return [order.id for order in orders]


def test_a_page_ends_early_when_its_orders_have_many_tickets_and_says_that_there_is_more(
    books: Books,
) -> None:
    sold = books.sell(*[100] * 21)
    page, more = books.page(0, 50)
    assert ids(page) == sold[: TICKETS_MAX // 100]
    assert more
    rest, more = books.page(page[-1].entry, 50)
    assert (ids(rest), more) == (sold[TICKETS_MAX // 100 :], False)


def test_as_many_tickets_as_a_page_may_have_are_one_page(books: Books) -> None:
    sold = books.sell(*[100] * (TICKETS_MAX // 100))
    page, more = books.page(0, 50)
    assert (ids(page), more) == (sold, False)


def test_an_order_that_is_larger_than_a_page_is_a_page_of_its_own(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.order_pages.TICKETS_MAX", 10)
    sold = books.sell(11, 1, 50, 50, 2, 3)
    assert [ids(page) for page in books.pages(5)] == [[o] for o in sold[:4]] + [sold[4:]]


@pytest.mark.parametrize("limit", [1, 2, 7, 59, 60, 61, 1_000])
def test_pages_together_give_every_order_once_in_order_of_sale(books: Books, limit: int) -> None:
    sold = books.sell(*[1, 100, 30] * 20)
    books.write(cancel(3))
    pages = books.pages(limit)
    assert [order_id for page in pages for order_id in ids(page)] == sold
    assert all(page for page in pages)


def test_an_event_without_orders_is_one_empty_page(books: Books) -> None:
    assert books.page(0, 10) == ([], False)
    assert books.lines() == [list(CSV_COLUMNS)]


def test_the_csv_has_a_line_for_each_ticket_and_all_of_them(books: Books) -> None:
    quantities = [1, 100, 30] * CSV_PAGE
    sold = books.sell(*quantities)
    books.write(cancel(2))
    head, *lines = books.lines()
    assert head == list(CSV_COLUMNS)
    tickets = [dict(zip(head, line, strict=True)) for line in lines]
    assert [t["number"] for t in tickets] == [str(n) for n in range(1, sum(quantities) + 1)]
    expected = [o for o, quantity in zip(sold, quantities, strict=True) for _ in range(quantity)]
    assert [t["id"] for t in tickets] == expected
    assert len({t["code"] for t in tickets}) == len(tickets)
    assert {t["id"] for t in tickets if t["status"] == "cancelled"} == {sold[1]}
