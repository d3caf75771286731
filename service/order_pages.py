"""An event's orders for the administration, page by page: as a list, or all of them as CSV.

A web process answers nobody else while it reads and encodes, so a page ends early when its orders
have many tickets, and between two pages of an export everybody else gets a turn.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Final

import gevent

from service.spreadsheets import plain
from service.views import view_order
from workers.domain import Order
from workers.ledgers import LedgerReader

TICKETS_MAX: Final = 2_000  # in a page, though one order may have more by itself: some 20 ms
CSV_PAGE: Final = 100
CSV_COLUMNS: Final = ("id", "status", "sold_at", "buyer", "ticket_type", "number", "code")


def read_page(
    reader: LedgerReader, event_id: str, after: int, limit: int
) -> tuple[list[Order], bool]:
    """Return up to `limit` orders sold after entry `after`, and whether there are more."""
    orders = reader.orders(event_id, after, limit + 1)
    tickets = 0
    for count, order in enumerate(orders):
        if count == limit or (count and tickets + order.quantity > TICKETS_MAX):
            return orders[:count], True
        tickets += order.quantity
    return orders, False


def write_csv(reader: LedgerReader, event_id: str) -> Iterator[str]:
    """Yield all orders, a line a ticket, in the order of sale."""
    yield _lines([CSV_COLUMNS])
    after, more = 0, True
    while more:
        page, more = read_page(reader, event_id, after, CSV_PAGE)
        if page:
            yield _lines(row for order in page for row in _rows(order))
            after = page[-1].entry
        gevent.sleep(0)


def _rows(order: Order) -> Iterator[tuple[str, ...]]:
    view = view_order(order)
    for ticket in view.tickets:
        yield (
            view.id,
            view.status,
            view.sold_at,
            plain(view.buyer or ""),
            ticket.ticket_type,
            str(ticket.number),
            ticket.code,
        )


def _lines(rows: Iterable[Iterable[str]]) -> str:
    lines = io.StringIO()
    csv.writer(lines).writerows(rows)
    return lines.getvalue()
