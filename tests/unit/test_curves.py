"""Curves cost the same however long the sale was, and nothing is read twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.curves import POINTS_MAX, SLICE, Curve, Curves, choose
from tests.unit.builders import cancel, gala, put
from tests.unit.test_order_pages import Books
from workers.domain import Entry
from workers.ledgers import LedgerReader


class Counting:
    """A reader that notes which tickets it is asked for, and how many entries."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader
        self.asked: list[list[int]] = []
        self.entries = 0
        self.event = reader.event

    def tickets_at(self, event_id: str, numbers: list[int]) -> list[tuple[int, int]]:
        self.asked.append(numbers)
        return self._reader.tickets_at(event_id, numbers)

    def entries_at(self, event_id: str, numbers: list[int]) -> list[Entry]:
        self.entries += len(numbers)
        return self._reader.entries_at(event_id, numbers)


@pytest.mark.parametrize("tickets", [0, 1, 8, 9, 100, 2_000_000, 123_456_789])
@pytest.mark.parametrize("most", [8, 198, POINTS_MAX])
def test_tickets_are_chosen_evenly_and_neither_too_many_nor_too_few(
    tickets: int, most: int
) -> None:
    chosen = choose(tickets, most)
    assert min(tickets, most) // 2 <= len(chosen) <= most
    assert all(1 <= number <= tickets for number in chosen)
    later = choose(2 * tickets, most)
    assert set(later[: len(later) // 2]) <= set(chosen)  # what was read once serves again


def issued(curve: Curve | None) -> list[int]:
    assert curve is not None
    return [point.issued for point in curve.points]


def test_who_looks_again_reads_only_what_is_new(tmp_path: Path) -> None:
    books = Books(tmp_path / "ledger.db")
    reader = Counting(books.reader)
    curves = Curves(reader)  # type: ignore[arg-type]  # as much of a reader as a curve needs
    books.sell(*[1] * 180)
    assert issued(curves.draw("gala", 200)) == [*range(1, 181)]
    assert sum(map(len, reader.asked)) == reader.entries == 180
    assert max(map(len, reader.asked)) <= SLICE
    reader.asked.clear()
    assert issued(curves.draw("gala", 200)) == [*range(1, 181)]
    assert reader.asked == []
    books.sell(*[2] * 5)
    assert issued(curves.draw("gala", 200)) == [*range(1, 181), 182, 184, 186, 188, 190]
    assert reader.asked == [[*range(181, 191)]]
    assert reader.entries == 185  # of two tickets of an order one entry
    reader.asked.clear()
    books.sell(*[1] * 21)  # now every second ticket is enough, and the last is between them
    assert issued(curves.draw("gala", 200)) == [1, *range(2, 211, 2), 211]
    assert reader.asked == [[*range(192, 211, 2), 211]]
    books.close()


def test_what_sells_nothing_takes_no_point_away(tmp_path: Path) -> None:
    """Sales and cancellations in turn: every second entry of the journal, all even ones, sold."""
    books = Books(tmp_path / "ledger.db")
    for key in range(1, 61):
        books.sell(1)
        books.write(cancel(key))
    curves = Curves(books.reader)
    assert issued(curves.draw("gala", 100)) == [*range(1, 61)]
    assert issued(curves.draw("gala", 20)) == [1, *range(4, 61, 4)]
    books.close()


def test_before_the_first_sale_there_is_no_point(tmp_path: Path) -> None:
    books = Books(tmp_path / "ledger.db")
    books.write(put(gala(5)), put(gala(6)))
    assert issued(Curves(books.reader).draw("gala", 10)) == []
    books.close()
