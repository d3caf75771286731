"""The web's view of the embedded ledger: short reads of what is committed; it cannot write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import apsw

from workers.domain import Entry, Event, Order, order_id_bytes
from workers.ledgers.sqlite_file import check_schema, open_file, refusing_to_start, reporting_faults
from workers.ledgers.sqlite_rows import (
    EVENTS,
    ORDERS,
    SORTED,
    Row,
    select_in,
    to_events,
    to_fact,
    to_order,
)


class SqliteReader:
    """A web process's view of the ledger file, which must exist. It cannot write."""

    ledger_id: str
    secret: bytes

    def __init__(self, path: Path) -> None:
        self._connection = open_file(path, apsw.SQLITE_OPEN_READWRITE)
        with refusing_to_start(path):
            self._connection.execute("PRAGMA query_only = ON")
            check_schema(self._connection, path)
            self.ledger_id, self.secret = self._connection.execute(
                "SELECT id, secret FROM ledger"
            ).get

    @reporting_faults
    def event(self, event_id: str) -> Event | None:
        """Return one event with its stock."""
        rows = self._connection.execute(f"{EVENTS} WHERE e.id = ? ORDER BY t.position", (event_id,))
        return next((event for _, event in to_events(rows)), None)

    @reporting_faults
    def events(self) -> list[Event]:
        """Return all events with their stock, in the order they were made, at one moment."""
        rows = self._connection.execute(f"{EVENTS} {SORTED}")
        return [event for _, event in to_events(rows)]

    @reporting_faults
    def order(self, order_id: str) -> Order | None:
        """Return one order by its id."""
        row = self._connection.execute(
            f"{ORDERS} WHERE o.id = ?", (order_id_bytes(order_id),)
        ).fetchone()
        return to_order(row) if row else None

    @reporting_faults
    def orders(self, event_id: str, after: int, limit: int) -> list[Order]:
        """Return up to `limit` orders sold after entry `after`, in order of sale."""
        rows = self._connection.execute(
            f"{ORDERS} WHERE e.id = ? AND o.entry > ? ORDER BY o.entry LIMIT ?",
            (event_id, after, limit),
        )
        return [to_order(row) for row in rows]

    @reporting_faults
    def entries(self, event_id: str, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` journal entries after entry `after`."""
        rows = self._connection.execute(
            """SELECT entry, at_ms, fact FROM journal JOIN events e USING (event)
               WHERE e.id = ? AND entry > ? ORDER BY entry LIMIT ?""",
            (event_id, after, limit),
        )
        return [Entry(event_id, number, at_ms, to_fact(fact)) for number, at_ms, fact in rows]

    @reporting_faults
    def entries_at(self, event_id: str, numbers: list[int]) -> list[Entry]:
        """Return those of some entries of an event's journal that there are, in their order."""
        rows = self._select_at("SELECT entry, at_ms, fact FROM journal", "entry", event_id, numbers)
        return [Entry(event_id, number, at_ms, to_fact(fact)) for number, at_ms, fact in rows]

    @reporting_faults
    def tickets(self, event_id: str, after: int, limit: int) -> list[tuple[int, int]]:
        """Return up to `limit` (number, entry of its order) above number `after`."""
        rows = self._connection.execute(
            """SELECT number, entry FROM tickets JOIN events e USING (event)
               WHERE e.id = ? AND number > ? ORDER BY number LIMIT ?""",
            (event_id, after, limit),
        )
        return [(number, entry) for number, entry in rows]

    @reporting_faults
    def tickets_at(self, event_id: str, numbers: list[int]) -> list[tuple[int, int]]:
        """Return (number, entry of its order) of those of some tickets that there are, in order."""
        rows = self._select_at("SELECT number, entry FROM tickets", "number", event_id, numbers)
        return [(number, entry) for number, entry in rows]

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _select_at(
        self, select: str, column: str, event_id: str, numbers: list[int]
    ) -> Iterable[Row]:
        """Select those rows of an event whose number, in `column`, is one of some."""
        event = self._connection.execute("SELECT event FROM events WHERE id = ?", (event_id,)).get
        if event is None:
            return []
        wanted = sorted(set(numbers))
        where = f"{select} WHERE event = ? AND {column} IN"
        return select_in(self._connection, where, wanted, before=(event,))
