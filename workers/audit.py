"""The audit: replays an event's journal from its first entry and holds it against all the rest.

It reads in pages, so that no read transaction is long, and judges the ledger as it stood when the
audit began: whatever is sold meanwhile has later entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from msgspec import Struct, field

from workers.domain import (
    Entry,
    Event,
    EventStored,
    EventSwitched,
    Order,
    OrderCancelled,
    TicketsSold,
)
from workers.errors import Inconsistent
from workers.ledgers import LedgerReader

PAGE: Final = 500
FINDINGS_MAX: Final = 100
BEFORE_ALL: Final = -(1 << 53)  # what does not belong there may have any number

T = TypeVar("T")


class Audit(Struct):
    """What an audit found. Orders and tickets are those that stand; cancelled ones count apart."""

    event: str
    consistent: bool = True
    entries: int = 0
    capacity: int = 0
    sold: int = 0
    held: int = 0
    remaining: int = 0
    orders: int = 0
    tickets: int = 0
    cancelled_orders: int = 0
    findings: list[str] = field(default_factory=list)

    def check(self, holds: bool, finding: str) -> None:
        """Note a finding unless something holds."""
        if not holds:
            self.consistent = False
            if len(self.findings) < FINDINGS_MAX:
                self.findings.append(finding)


class _Replay(Struct):
    """What the journal says so far."""

    capacity: dict[str, int] = field(default_factory=dict)
    sold: dict[str, int] = field(default_factory=dict)
    switch: str = "open"
    next_number: int = 1
    cancelled: dict[int, int] = field(
        default_factory=dict
    )  # entry of the sale → entry of the cancel


def audit(reader: LedgerReader, event_id: str, pause: Callable[[], object]) -> Audit | None:
    """Audit one event; None if there is no such event. Calls `pause` between pages."""
    event = reader.event(event_id)
    if event is None:
        return None
    found = Audit(
        event_id,
        entries=event.entries,
        capacity=sum(t.capacity for t in event.ticket_types),
        sold=sum(t.sold for t in event.ticket_types),
        held=sum(t.held for t in event.ticket_types),
        remaining=sum(t.remaining for t in event.ticket_types),
    )
    try:
        _audit(found, reader, event, pause)
    except Inconsistent as damage:
        found.check(False, str(damage))
    return found


def _audit(found: Audit, reader: LedgerReader, event: Event, pause: Callable[[], object]) -> None:
    replay = _Replay()
    said_cancelled: dict[int, int] = {}
    orders = _paged(lambda after: reader.orders(event.id, after, PAGE), lambda o: o.entry, pause)
    tickets = _paged(lambda after: reader.tickets(event.id, after, PAGE), lambda t: t[0], pause)
    entries = _paged(lambda after: reader.entries(event.id, after, PAGE), lambda e: e.number, pause)
    for expected in range(1, event.entries + 1):
        entry = next(entries, None)
        if entry is None or entry.number != expected:
            found.check(False, f"journal entry {expected} is missing")
            break
        match entry.fact:
            case EventStored(ticket_types=types):
                replay.capacity = {type_id: capacity for type_id, capacity, _, _ in types}
            case EventSwitched(switch=switch):
                replay.switch = switch
            case TicketsSold():
                order = next(orders, None)
                _replay_sale(found, replay, entry, entry.fact, order)
                if order and order.cancelled_entry and order.cancelled_entry <= event.entries:
                    said_cancelled[order.entry] = order.cancelled_entry
                for number in _numbers(entry.fact):
                    found.check(
                        next(tickets, None) == (number, entry.number),
                        f"entry {entry.number}: ticket {number} is missing or another order's",
                    )
            case OrderCancelled():
                _replay_cancel(found, replay, entry, entry.fact)
    rest = next(entries, None), next(orders, None), next(tickets, None)
    _check_rest(found, event, reader.event(event.id) or event, *rest)
    found.check(said_cancelled == replay.cancelled, "cancelled orders differ from the journal")
    _compare(found, replay, event)


def _replay_sale(
    found: Audit, replay: _Replay, entry: Entry, fact: TicketsSold, order: Order | None
) -> None:
    where = f"entry {entry.number}"
    found.check(fact.first_number == replay.next_number, f"{where}: number {fact.first_number}")
    for item in fact.items:
        sold = replay.sold[item.ticket_type] = replay.sold.get(item.ticket_type, 0) + item.quantity
        found.check(
            sold <= replay.capacity.get(item.ticket_type, 0),
            f"{where}: {item.ticket_type} oversold at that moment",
        )
    replay.next_number = fact.first_number + len(_numbers(fact))
    found.orders += 1
    found.tickets += len(_numbers(fact))
    same = order is not None and (order.entry, order.id, order.items, order.first_number) == (
        entry.number,
        fact.order,
        fact.items,
        fact.first_number,
    )
    found.check(same, f"{where}: order {fact.order} is missing or says otherwise")


def _replay_cancel(found: Audit, replay: _Replay, entry: Entry, fact: OrderCancelled) -> None:
    found.check(fact.sale not in replay.cancelled, f"entry {entry.number}: cancelled twice")
    replay.cancelled[fact.sale] = entry.number
    for item in fact.items:
        replay.sold[item.ticket_type] = replay.sold.get(item.ticket_type, 0) - item.quantity
        found.tickets -= item.quantity
    found.orders -= 1
    found.cancelled_orders += 1


def _check_rest(
    found: Audit,
    event: Event,
    later: Event,
    entry: Entry | None,
    order: Order | None,
    ticket: tuple[int, int] | None,
) -> None:
    """What goes beyond was written after the audit began, and then the event counts it by now."""
    found.check(entry is None or entry.number <= later.entries, "an entry is not counted")
    found.check(
        order is None or event.entries < order.entry <= later.entries,
        "an order is not in the journal",
    )
    found.check(
        ticket is None or event.next_number <= ticket[0] < later.next_number,
        "a ticket is not in the journal",
    )


def _compare(found: Audit, replay: _Replay, event: Event) -> None:
    for t in event.ticket_types:
        found.check(t.capacity == replay.capacity.get(t.id), f"{t.id}: capacity {t.capacity}")
        found.check(t.sold == replay.sold.get(t.id, 0), f"{t.id}: sold {t.sold}")
        found.check(t.held == 0, f"{t.id}: held {t.held}, by nobody")
        found.check(t.remaining >= 0, f"{t.id}: oversold by {-t.remaining}")
    gone = set(replay.sold) - {t.id for t in event.ticket_types}
    found.check(not any(replay.sold[t] for t in gone), f"sold types are gone: {sorted(gone)}")
    found.check(event.switch == replay.switch, f"switch {event.switch}, not {replay.switch}")
    found.check(event.next_number == replay.next_number, f"next number {event.next_number}")
    found.check(
        found.sold == found.tickets, f"{found.sold} sold, but {found.tickets} tickets stand"
    )


def _numbers(fact: TicketsSold) -> range:
    quantity = sum(item.quantity for item in fact.items)
    return range(fact.first_number, fact.first_number + quantity)


def _paged(
    read: Callable[[int], list[T]], position: Callable[[T], int], pause: Callable[[], object]
) -> Iterator[T]:
    after = BEFORE_ALL
    while page := read(after):
        yield from page
        after = position(page[-1])
        pause()
