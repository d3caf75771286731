"""Curves cost the same however long the sale was, and nothing is read twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.curves import POINTS_MAX, SLICE, Curves, choose
from tests.unit.test_order_pages import Books
from workers.domain import Entry
from workers.ledgers import LedgerReader


class Counting:
    """A reader that notes which entries it is asked for."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader
        self.asked: list[list[int]] = []
        self.event = reader.event
        self.tickets = reader.tickets

    def entries_at(self, event_id: str, numbers: list[int]) -> list[Entry]:
        self.asked.append(numbers)
        return self._reader.entries_at(event_id, numbers)


@pytest.mark.parametrize("entries", [0, 1, 8, 9, 100, 2_000_000, 123_456_789])
@pytest.mark.parametrize("most", [8, 198, POINTS_MAX])
def test_entries_are_chosen_evenly_and_neither_too_many_nor_too_few(
    entries: int, most: int
) -> None:
    chosen = choose(entries, most)
    assert min(entries, most) // 2 <= len(chosen) <= most
    assert all(1 <= number <= entries for number in chosen)
    later = choose(2 * entries, most)
    assert set(later[: len(later) // 2]) <= set(chosen)  # what was read once serves again


def test_who_looks_again_reads_only_what_is_new(tmp_path: Path) -> None:
    books = Books(tmp_path / "ledger.db")
    reader = Counting(books.reader)
    curves = Curves(reader)  # type: ignore[arg-type]  # as much of a reader as a curve needs
    books.sell(*[1] * 180)
    first = curves.draw("gala", 200)
    assert first is not None
    assert sum(map(len, reader.asked)) == 181
    assert max(map(len, reader.asked)) <= SLICE
    reader.asked.clear()
    assert curves.draw("gala", 200) is not None
    assert reader.asked == []
    books.sell(*[2] * 5)
    second = curves.draw("gala", 200)
    assert second is not None
    assert second.points[: len(first.points)] == first.points
    assert [point.issued for point in second.points[-5:]] == [182, 184, 186, 188, 190]
    assert reader.asked == [list(range(182, 187))]
    reader.asked.clear()
    books.sell(*[1] * 21)  # now every second entry is enough, and the last sale is between them
    assert curves.draw("gala", 200) is not None
    assert reader.asked == [[188, 190, 192, 194, 196, 198, 200, 202, 204, 206, 207]]
