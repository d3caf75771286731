"""The embedded ledger: a SQLite file, one transaction a batch, fsynced before `commit` returns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

from workers.domain import Command, Event, Fact, PutEvent, order_id_bytes
from workers.errors import BootFailed, Fenced
from workers.ledgers.sqlite_file import (
    CHECKSUM_BYTES,
    check_schema,
    create,
    open_file,
    refusing_to_start,
    reporting_faults,
    use_wal,
)
from workers.ledgers.sqlite_look import look_through
from workers.ledgers.sqlite_rows import (
    EVENTS,
    ORDERS,
    SORTED,
    insert,
    select_in,
    to_events,
    to_json,
    to_order,
    update,
)
from workers.ledgers.sqlite_seen import Seen
from workers.ledgers.touched import accounts, named
from workers.rules import Settlement, State

_SALE_FACTS = frozenset(
    variant for variant in Fact.__args__ if variant.__struct_config__.tag in {"sold", "cancelled"}
)


STEPS_BETWEEN_BEATS: Final = 1_000_000  # of SQLite's machine: some tens of milliseconds


class SqliteLedger:
    """One worker's hold on the ledger file; made if it is not there. Open it under the lock.

    Raises BootFailed if the file is not a ledger of this version or cannot be used, LedgerFault if
    that may pass: the disk is full, or another program is at the ledger. `beat` is called now and
    then while a statement takes long, so that nobody takes this worker for dead; it returns False.
    """

    def __init__(self, path: Path, beat: Callable[[], bool] | None = None) -> None:
        self._connection = open_file(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        if beat:
            self._connection.set_progress_handler(beat, STEPS_BETWEEN_BEATS)
        self._event_numbers: dict[str, int] = {}
        self._seen = Seen(path)
        try:
            with refusing_to_start(path):
                self._open(path)
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path) -> None:
        # What is refused stays as it is, its log included.
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        new = not self._connection.execute("SELECT count(*) FROM sqlite_schema").get
        if self._connection.readonly("main"):  # what may not be written is opened all the same
            raise BootFailed(f"the ledger {path} may not be written")
        if not new:  # first of all: another program's database is not even put into WAL mode
            check_schema(self._connection, path)
        self._seen.read()
        if new:
            self._seen.check_new()
            self._connection.reserve_bytes(reserve=CHECKSUM_BYTES)
        use_wal(self._connection, path)
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        if new:
            create(self._connection)
        ledger_id, token = self._connection.execute("SELECT id, fence FROM ledger").get
        self._seen.check(ledger_id, token)
        self._sync_what_was_recovered()
        self._seen.note(token)  # now, and not before: it may never be ahead of what is synced
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)

    def _sync_what_was_recovered(self) -> None:
        """Copy the WAL into the file, and both to the disk, before anybody is told what they hold.

        A service that was killed between writing a batch and syncing it leaves a WAL that SQLite
        takes for committed, though the power may still fail. Its buyers will ask again, and a
        replay writes nothing that would sync it.
        """
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)

    @reporting_faults
    def look_through(self, seconds: float) -> bool:
        """Look for damage that no page shows by itself, so long at most; say if all was looked at.

        Raises LedgerDamaged.
        """
        return look_through(self._connection, seconds)

    # --- reading what a batch touches ---

    @reporting_faults
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
        order_ids, event_ids = named(commands)
        for row in select_in(
            self._connection, f"{ORDERS} WHERE o.id IN", map(order_id_bytes, order_ids)
        ):
            order = to_order(row)
            state.orders[order.id] = order
            event_ids.add(order.event)
        rows = select_in(self._connection, f"{EVENTS} WHERE e.id IN", event_ids, SORTED)
        for number, event in to_events(rows):
            state.events[event.id] = event
            self._event_numbers[event.id] = number
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

    @reporting_faults
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
            self._seen.note(token)
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
        numbers = self._event_numbers
        redefined = {e.event for e in settlement.entries if e.fact.__class__ not in _SALE_FACTS}
        for event_id in redefined:
            self._define_event(settlement.events[event_id])
        changed = settlement.events.values()
        update(
            self._connection,
            "events SET next_number = new.column2, entries = new.column3",
            "event = new.column1",
            [(numbers[e.id], e.next_number, e.entries) for e in changed if e.id not in redefined],
        )
        update(
            self._connection,
            "ticket_types SET sold = new.column3, held = new.column4, remaining = new.column5",
            "event = new.column1 AND id = new.column2",
            [
                (numbers[e.id], t.id, t.sold, t.held, t.remaining)
                for e in changed
                for t in e.ticket_types
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
        insert(
            self._connection,
            "ticket_types",
            [
                (
                    number,
                    position,
                    t.id,
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
        insert(
            self._connection,
            "orders",
            [
                (
                    numbers[order.event],
                    order.entry,
                    order_id_bytes(order.id),
                    order.fingerprint,
                    order.buyer,
                    to_json(order.items),
                    order.first_number,
                    order.amount,
                    order.currency,
                    order.sold_at_ms,
                    order.cancelled_entry,
                )
                for order in settlement.sales
            ],
        )
        insert(
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
        insert(
            self._connection,
            "bought",
            [(numbers[event], buyer, n) for (event, buyer), n in settlement.bought.items()],
        )

    def _write_journal(self, settlement: Settlement) -> None:
        numbers = self._event_numbers
        insert(
            self._connection,
            "journal",
            [(numbers[e.event], e.number, e.at_ms, to_json(e.fact)) for e in settlement.entries],
        )

    @reporting_faults
    def last_token(self) -> int:
        """Return the newest fencing token committed."""
        token: int = self._connection.execute("SELECT fence FROM ledger").get
        return token

    def close(self) -> None:
        """End the connection; the last one out checkpoints the WAL."""
        self._connection.close()
        self._seen.close()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _accounts(commands: list[Command], state: State) -> set[tuple[str, str]]:
    """Name the (event, buyer) pairs whose counts are kept, among those that a batch touches."""
    limited = {event.id for event in state.events.values() if event.max_per_buyer is not None}
    limited |= {
        c.event for c in commands if isinstance(c, PutEvent) and c.max_per_buyer is not None
    }
    if not limited:
        return set()
    return {account for account in accounts(commands, state.orders) if account[0] in limited}
