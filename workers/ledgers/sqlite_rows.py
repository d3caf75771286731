"""Rows of the embedded ledger: what they are read as, and how many are read or written at once."""

from __future__ import annotations

import functools
import itertools
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final

import apsw
import msgspec

from workers.domain import Event, Fact, Order, OrderItem, TicketType

ROWS_MAX: Final = 64  # in one statement

_EVENT_COLUMNS = (
    "e.event, e.id, e.name, e.opens_at_ms, e.closes_at_ms, e.max_per_order, e.max_per_buyer,"
    " e.switch, e.next_number, e.entries, t.id, t.capacity, t.amount, t.currency, t.sold, t.held"
)
EVENTS = f"SELECT {_EVENT_COLUMNS} FROM events e JOIN ticket_types t USING (event)"
SORTED = "ORDER BY e.event, t.position"
_ORDER_COLUMNS = (
    "o.id, e.id, o.entry, o.fingerprint, o.buyer, o.items, o.first_number, o.amount, o.currency,"
    " o.sold_at_ms, o.cancelled_entry"
)
ORDERS = f"SELECT {_ORDER_COLUMNS} FROM orders o JOIN events e USING (event)"

Row = tuple[Any, ...]

to_fact = msgspec.json.Decoder(Fact).decode
_to_items = msgspec.json.Decoder(list[OrderItem]).decode
_encode = msgspec.json.Encoder().encode


def to_json(value: Any) -> str:
    """Write items or a fact as the text that a row holds."""
    return _encode(value).decode()


def to_events(rows: Iterator[Row]) -> Iterator[tuple[int, Event]]:
    """Gather the joined rows of events and ticket types, which must come sorted by event.

    Raises ValueError for a row that lacks what every row has.
    """
    current: tuple[int, Event] | None = None
    for row in rows:
        if None in row[7:]:
            raise ValueError("an event without its counters")
        number, *settings = row[:10]
        if current is None or current[0] != number:
            if current is not None:
                yield current
            current = number, Event(settings[0], settings[1], [], *settings[2:])
        current[1].ticket_types.append(TicketType(*row[10:]))
    if current is not None:
        yield current


def to_order(row: Row) -> Order:
    """Read a row of `ORDERS`."""
    order_id, event, entry, fingerprint, buyer, items, *rest = row
    return Order(
        str(uuid.UUID(bytes=order_id)),
        event,
        entry,
        fingerprint,
        buyer,
        _to_items(items),
        *rest,
    )


# --- many rows at once ----------------------------------------------------------------------------
# apsw's cache of prepared statements is a ring: each use of one pushes out the oldest. A statement
# for each row, `executemany` too, would push out all others in every batch. So rows go together,
# in statements of 64, 32, 16 … 1 rows: few texts, few uses.


def insert(connection: apsw.Connection, table: str, rows: list[Row]) -> None:
    """Insert rows, replacing those with the same key only where a table is derived (`bought`)."""
    for some in _in_sizes(rows):
        connection.execute(_insert_text(table, len(rows[0]), len(some)), _flat(some))


@functools.cache
def _insert_text(table: str, width: int, size: int) -> str:
    verb = "INSERT OR REPLACE" if table == "bought" else "INSERT"
    return f"{verb} INTO {table} VALUES {_values_text(width, size)}"


def update(connection: apsw.Connection, change: str, where: str, rows: list[Row]) -> None:
    """Update by rows, whose values are `new.column1` and so on in `change` and `where`."""
    for some in _in_sizes(rows):
        connection.execute(_update_text(change, where, len(rows[0]), len(some)), _flat(some))


@functools.cache
def _update_text(change: str, where: str, width: int, size: int) -> str:
    return f"UPDATE {change} FROM (VALUES {_values_text(width, size)}) AS new WHERE {where}"


def _in_sizes(rows: list[Row]) -> Iterator[list[Row]]:
    start = 0
    while start < len(rows):
        size = min(ROWS_MAX, 1 << ((len(rows) - start).bit_length() - 1))
        yield rows[start : start + size]
        start += size


def _flat(rows: list[Row]) -> list[Any]:
    return list(itertools.chain.from_iterable(rows))


def _values_text(width: int, size: int) -> str:
    return ", ".join([f"({', '.join('?' * width)})"] * size)


def select_in(
    connection: apsw.Connection,
    select: str,
    values: Iterable[Any],
    behind: str = "",
    before: Row = (),
) -> Iterator[Row]:
    """Run `select`, which ends in IN, for many values; the last one is repeated to fill a size.

    `before` are the values of what stands before IN; `behind` is what stands behind it.
    """
    wanted = list(values)
    for start in range(0, len(wanted), ROWS_MAX):
        some = wanted[start : start + ROWS_MAX]
        size = 1 << (len(some) - 1).bit_length()
        some += some[-1:] * (size - len(some))
        yield from connection.execute(_in_text(select, behind, size), [*before, *some])


@functools.cache
def _in_text(select: str, behind: str, size: int) -> str:
    return f"{select} ({', '.join('?' * size)}) {behind}"
