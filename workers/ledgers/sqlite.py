"""The embedded ledger: one SQLite file, one transaction a batch, fsynced before `commit` returns.

`SqliteLedger` is the worker's (load, commit), `SqliteReader` the web's. Both open the file in the
process that uses it, after any fork, and only through SQLite: another descriptor of the same file,
when closed, would drop SQLite's locks.
"""

from __future__ import annotations

import functools
import itertools
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import apsw
import msgspec

from workers.domain import (
    CancelOrder,
    Command,
    Entry,
    Event,
    Fact,
    Order,
    OrderItem,
    Purchase,
    PutEvent,
    SwitchEvent,
    TicketType,
)
from workers.errors import BootFailed, Fenced, Inconsistent, LedgerFault
from workers.rules import Settlement, State

APPLICATION_ID: Final = 0x50_1D_00_07  # tells this file from any other SQLite database
SCHEMA_VERSION: Final = 1
OLDEST_SAFE_SQLITE: Final = (3, 51, 3)  # 3.7.0 to 3.51.2 may corrupt a WAL that several write
STATEMENTS: Final = 128  # kept prepared; enough for all there are, in all their sizes
ROWS_MAX: Final = 64  # in one statement
BUSY_TIMEOUT_MS: Final = 5_000  # the lock keeps writers apart; this covers a checkpoint or a backup

_EVENT_COLUMNS = (
    "e.event, e.id, e.name, e.opens_at_ms, e.closes_at_ms, e.max_per_order, e.max_per_buyer,"
    " e.switch, e.next_number, e.entries, t.id, t.capacity, t.amount, t.currency, t.sold, t.held"
)
_EVENTS = f"SELECT {_EVENT_COLUMNS} FROM events e JOIN ticket_types t USING (event)"
_ORDER_COLUMNS = (
    "o.id, e.id, o.entry, o.fingerprint, o.buyer, o.items, o.first_number, o.amount, o.currency,"
    " o.sold_at_ms, o.cancelled_entry"
)
_ORDERS = f"SELECT {_ORDER_COLUMNS} FROM orders o JOIN events e USING (event)"

_items = msgspec.json.Decoder(list[OrderItem])
_fact = msgspec.json.Decoder(Fact)
_json = msgspec.json.Encoder()

P = ParamSpec("P")
R = TypeVar("R")
Row = tuple[Any, ...]


def _reporting_faults(method: Callable[P, R]) -> Callable[P, R]:
    """Turn SQLite's errors into ours: the callers know nothing of SQLite."""

    @functools.wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except apsw.ConstraintError as error:
            raise Inconsistent(f"the ledger refused a row: {error}") from error
        except apsw.Error as error:
            raise LedgerFault(f"the ledger: {type(error).__name__}: {error}") from error
        except ValueError as error:  # msgspec's, uuid's, a decoder's: no value that we write
            raise Inconsistent(f"a row of the ledger cannot be read: {error}") from error

    return guarded


class SqliteLedger:
    """One worker's hold on the ledger file; made if it is not there. Open it under the lock.

    Raises BootFailed if the file is not a ledger of this version or cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._connection = _open(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        self._event_numbers: dict[str, int] = {}
        with _refusing_to_start(path):
            new = not self._connection.execute("SELECT count(*) FROM sqlite_schema").get
            if not new:  # first of all: another program's database is not even put into WAL mode
                _check_schema(self._connection, path)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            if new:
                _create(self._connection)

    # --- reading what a batch touches ---

    @_reporting_faults
    def load(self, commands: list[Command]) -> State:
        """Open the batch's transaction and read in it. `commit` ends it, a new `load` voids it."""
        self._roll_back()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            return self._load(commands)
        except BaseException:
            self._roll_back()  # or nobody could write until this worker's next batch
            raise

    def _load(self, commands: list[Command]) -> State:
        state = State()
        ids = {c.id for c in commands if isinstance(c, Purchase | CancelOrder)}
        for row in _select_in(self._connection, f"{_ORDERS} WHERE o.id IN", map(_to_blob, ids)):
            order = _to_order(row)
            state.orders[order.id] = order
        touched = {c.event for c in commands if isinstance(c, Purchase | PutEvent | SwitchEvent)}
        for event_id in touched | {order.event for order in state.orders.values()}:
            for number, event in _to_events(
                self._connection.execute(
                    f"{_EVENTS} WHERE e.id = ? ORDER BY t.position", (event_id,)
                )
            ):
                state.events[event_id] = event
                self._event_numbers[event_id] = number
        self._load_bought(commands, state)
        return state

    def _load_bought(self, commands: list[Command], state: State) -> None:
        for command in commands:
            if isinstance(command, PutEvent) and command.max_per_buyer is not None:
                self._count_bought(state.events.get(command.event))
        for event_id, buyer in _accounts(commands, state):
            quantity = self._connection.execute(
                """SELECT quantity FROM bought JOIN events e USING (event)
                   WHERE e.id = ? AND buyer = ?""",
                (event_id, buyer),
            ).get
            state.bought[event_id, buyer] = quantity or 0

    def _count_bought(self, event: Event | None) -> None:
        """Count what was sold while the event had no limit for buyers, before it gets one."""
        if event is None or event.max_per_buyer is not None:
            return
        number = self._event_numbers[event.id]
        self._connection.execute("DELETE FROM bought WHERE event = ?", (number,))
        self._connection.execute(
            """INSERT INTO bought SELECT event, buyer, sum(
                   (SELECT sum(json_extract(value, '$[1]')) FROM json_each(items))
               ) FROM orders WHERE event = ? AND buyer IS NOT NULL AND cancelled_entry IS NULL
               GROUP BY buyer""",
            (number,),
        )

    # --- writing what was decided ---

    @_reporting_faults
    def commit(self, settlement: Settlement, token: int) -> None:
        """Write the batch and end its transaction; durable on return."""
        try:
            if not settlement.entries and not settlement.probed:
                self._check_fence(token)
                return
            self._raise_fence(token)
            self._write_events(settlement)
            self._write_orders(settlement)
            self._write_journal(settlement)
            self._connection.execute("COMMIT")
        finally:
            self._roll_back()

    def _check_fence(self, token: int) -> None:
        if self.last_token() >= token:
            raise Fenced(f"fencing token {token} is not newer than {self.last_token()}")

    def _raise_fence(self, token: int) -> None:
        self._connection.execute("UPDATE ledger SET fence = ? WHERE fence < ?", (token, token))
        if not self._connection.changes():
            self._check_fence(token)

    def _write_events(self, settlement: Settlement) -> None:
        redefined = {e.event for e in settlement.entries if e.fact.__class__ not in _SALE_FACTS}
        for event in settlement.events.values():
            if event.id in redefined:
                self._define_event(event)
            else:
                self._connection.execute(
                    "UPDATE events SET next_number = ?, entries = ? WHERE event = ?",
                    (event.next_number, event.entries, self._event_numbers[event.id]),
                )
        self._connection.executemany(
            "UPDATE ticket_types SET sold = ?, held = ?, remaining = ? WHERE event = ? AND id = ?",
            [
                (t.sold, t.held, t.remaining, self._event_numbers[event.id], t.id)
                for event in settlement.events.values()
                for t in event.ticket_types
            ],
        )

    def _define_event(self, event: Event) -> None:
        number: int = self._connection.execute(
            """INSERT INTO events (id, name, opens_at_ms, closes_at_ms, max_per_order,
                   max_per_buyer, switch, next_number, entries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
               ON CONFLICT (id) DO UPDATE SET name = excluded.name,
                   opens_at_ms = excluded.opens_at_ms, closes_at_ms = excluded.closes_at_ms,
                   max_per_order = excluded.max_per_order, max_per_buyer = excluded.max_per_buyer,
                   switch = excluded.switch, next_number = excluded.next_number,
                   entries = excluded.entries
               RETURNING event""",
            (
                event.id,
                event.name,
                event.opens_at_ms,
                event.closes_at_ms,
                event.max_per_order,
                event.max_per_buyer,
                event.switch,
                event.next_number,
                event.entries,
            ),
        ).get
        self._event_numbers[event.id] = number
        self._connection.execute("DELETE FROM ticket_types WHERE event = ?", (number,))
        _insert(
            self._connection,
            "ticket_types",
            [
                (
                    number,
                    t.id,
                    position,
                    t.capacity,
                    t.amount,
                    t.currency,
                    t.sold,
                    t.held,
                    t.remaining,
                )
                for position, t in enumerate(event.ticket_types)
            ],
        )

    def _write_orders(self, settlement: Settlement) -> None:
        numbers = self._event_numbers
        _insert(
            self._connection,
            "orders",
            [
                (
                    numbers[order.event],
                    order.entry,
                    _to_blob(order.id),
                    order.fingerprint,
                    order.buyer,
                    _json.encode(order.items).decode(),
                    order.first_number,
                    order.amount,
                    order.currency,
                    order.sold_at_ms,
                    order.cancelled_entry,
                )
                for order in settlement.sales
            ],
        )
        _insert(
            self._connection,
            "tickets",
            [
                (numbers[order.event], number, order.entry)
                for order in settlement.sales
                for number in order.numbers()
            ],
        )
        self._connection.executemany(
            "UPDATE orders SET cancelled_entry = ? WHERE event = ? AND entry = ?",
            [(o.cancelled_entry, numbers[o.event], o.entry) for o in settlement.cancels],
        )
        _insert(
            self._connection,
            "bought",
            [(numbers[event], buyer, n) for (event, buyer), n in settlement.bought.items()],
        )

    def _write_journal(self, settlement: Settlement) -> None:
        numbers = self._event_numbers
        _insert(
            self._connection,
            "journal",
            [
                (numbers[e.event], e.number, e.at_ms, _json.encode(e.fact).decode())
                for e in settlement.entries
            ],
        )

    @_reporting_faults
    def last_token(self) -> int:
        """Return the newest fencing token committed."""
        token: int = self._connection.execute("SELECT fence FROM ledger").get
        return token

    def close(self) -> None:
        """End the connection; the last one out checkpoints the WAL."""
        self._connection.close()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


class SqliteReader:
    """A web process's view of the ledger file, which must exist. It cannot write."""

    ledger_id: str
    secret: bytes

    def __init__(self, path: Path) -> None:
        self._connection = _open(path, apsw.SQLITE_OPEN_READWRITE)
        with _refusing_to_start(path):
            self._connection.execute("PRAGMA query_only = ON")
            _check_schema(self._connection, path)
            self.ledger_id, self.secret = self._connection.execute(
                "SELECT id, secret FROM ledger"
            ).get

    @_reporting_faults
    def event(self, event_id: str) -> Event | None:
        """Return one event with its stock."""
        rows = self._connection.execute(
            f"{_EVENTS} WHERE e.id = ? ORDER BY t.position", (event_id,)
        )
        return next((event for _, event in _to_events(rows)), None)

    @_reporting_faults
    def events(self) -> list[Event]:
        """Return all events with their stock, in the order they were made, at one moment."""
        rows = self._connection.execute(f"{_EVENTS} ORDER BY e.event, t.position")
        return [event for _, event in _to_events(rows)]

    @_reporting_faults
    def order(self, order_id: str) -> Order | None:
        """Return one order by its id."""
        row = self._connection.execute(
            f"{_ORDERS} WHERE o.id = ?", (_to_blob(order_id),)
        ).fetchone()
        return _to_order(row) if row else None

    @_reporting_faults
    def orders(self, event_id: str, after: int, limit: int) -> list[Order]:
        """Return up to `limit` orders sold after entry `after`, in order of sale."""
        rows = self._connection.execute(
            f"{_ORDERS} WHERE e.id = ? AND o.entry > ? ORDER BY o.entry LIMIT ?",
            (event_id, after, limit),
        )
        return [_to_order(row) for row in rows]

    @_reporting_faults
    def entries(self, event_id: str, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` journal entries after entry `after`."""
        rows = self._connection.execute(
            """SELECT entry, at_ms, fact FROM journal JOIN events e USING (event)
               WHERE e.id = ? AND entry > ? ORDER BY entry LIMIT ?""",
            (event_id, after, limit),
        )
        return [Entry(event_id, number, at_ms, _fact.decode(fact)) for number, at_ms, fact in rows]

    @_reporting_faults
    def tickets(self, event_id: str, after: int, limit: int) -> list[tuple[int, int]]:
        """Return up to `limit` (number, entry of its order) above number `after`."""
        rows = self._connection.execute(
            """SELECT number, entry FROM tickets JOIN events e USING (event)
               WHERE e.id = ? AND number > ? ORDER BY number LIMIT ?""",
            (event_id, after, limit),
        )
        return [(number, entry) for number, entry in rows]

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


# --- opening --------------------------------------------------------------------------------------


def _open(path: Path, flags: int) -> apsw.Connection:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < OLDEST_SAFE_SQLITE:
        raise BootFailed(f"SQLite {apsw.sqlite_lib_version()} may corrupt a ledger; use 3.51.3")
    with _refusing_to_start(path):
        connection = apsw.Connection(str(path), flags=flags, statementcachesize=STATEMENTS)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    return connection


@contextmanager
def _refusing_to_start(path: Path) -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise BootFailed(f"the ledger {path} cannot be used: {error}") from error


def _create(connection: apsw.Connection) -> None:
    with connection:
        connection.execute(resources.files(__package__).joinpath("schema.sql").read_text())
        connection.execute(
            "INSERT INTO ledger VALUES (?, ?, ?, 0)",
            (str(uuid.uuid4()), secrets.token_bytes(32), time.time_ns() // 1_000_000),
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _check_schema(connection: apsw.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").get != APPLICATION_ID:
        raise BootFailed(f"{path} is a database, but not a soldout ledger")
    version = connection.execute("PRAGMA user_version").get
    if version != SCHEMA_VERSION:
        raise BootFailed(
            f"{path} has schema version {version}; this soldout knows {SCHEMA_VERSION}"
        )


# --- many rows at once ----------------------------------------------------------------------------
# apsw's cache of prepared statements is a ring: each use of one pushes out the oldest. A statement
# for each row, `executemany` too, would push out all others in every batch. So rows go together,
# in statements of 64, 32, 16 … 1 rows: few texts, few uses.


def _insert(connection: apsw.Connection, table: str, rows: list[Row]) -> None:
    """Insert rows, replacing those with the same key only where a table is derived (`bought`)."""
    start = 0
    while start < len(rows):
        size = min(ROWS_MAX, 1 << ((len(rows) - start).bit_length() - 1))
        values = list(itertools.chain.from_iterable(rows[start : start + size]))
        connection.execute(_insert_text(table, len(rows[0]), size), values)
        start += size


@functools.cache
def _insert_text(table: str, width: int, size: int) -> str:
    verb = "INSERT OR REPLACE" if table == "bought" else "INSERT"
    row = f"({', '.join('?' * width)})"
    return f"{verb} INTO {table} VALUES {', '.join([row] * size)}"


def _select_in(connection: apsw.Connection, select: str, values: Iterable[Any]) -> Iterator[Row]:
    """Run `select`, which ends in IN, for many values; the last one is repeated to fill a size."""
    wanted = list(values)
    for start in range(0, len(wanted), ROWS_MAX):
        some = wanted[start : start + ROWS_MAX]
        size = 1 << (len(some) - 1).bit_length()
        some += some[-1:] * (size - len(some))
        yield from connection.execute(_in_text(select, size), some)


@functools.cache
def _in_text(select: str, size: int) -> str:
    return f"{select} ({', '.join('?' * size)})"


# --- rows -----------------------------------------------------------------------------------------

_SALE_FACTS = frozenset(
    variant for variant in Fact.__args__ if variant.__struct_config__.tag in {"sold", "cancelled"}
)


def _accounts(commands: list[Command], state: State) -> set[tuple[str, str]]:
    """Name the (event, buyer) pairs whose counts this batch may read or change."""
    limited = {event.id for event in state.events.values() if event.max_per_buyer is not None}
    limited |= {
        c.event for c in commands if isinstance(c, PutEvent) and c.max_per_buyer is not None
    }
    if not limited:
        return set()
    buys = {(c.event, c.buyer) for c in commands if isinstance(c, Purchase) and c.buyer is not None}
    known = {(o.event, o.buyer) for o in state.orders.values() if o.buyer is not None}
    return {(event, buyer) for event, buyer in buys | known if event in limited}


def _to_events(rows: Iterator[Row]) -> Iterator[tuple[int, Event]]:
    """Gather the joined rows of events and ticket types, which must come sorted by event."""
    current: tuple[int, Event] | None = None
    for row in rows:
        number, *settings = row[:10]
        if current is None or current[0] != number:
            if current is not None:
                yield current
            current = number, Event(settings[0], settings[1], [], *settings[2:])
        current[1].ticket_types.append(TicketType(*row[10:]))
    if current is not None:
        yield current


def _to_order(row: Row) -> Order:
    order_id, event, entry, fingerprint, buyer, items, *rest = row
    return Order(
        str(uuid.UUID(bytes=order_id)),
        event,
        entry,
        fingerprint,
        buyer,
        _items.decode(items),
        *rest,
    )


def _to_blob(order_id: str) -> bytes:
    return bytes.fromhex(order_id.replace("-", ""))
