"""What the contract shows of orders, events and stock, as structs that encode to its JSON."""

from __future__ import annotations

import functools
import time

from msgspec import Struct

from workers import domain
from workers.domain import Event, Order
from workers.hearts import wall_ms


class Money(Struct):
    """An amount in minor units and an ISO 4217 code."""

    amount: int
    currency: str


class Ticket(Struct):
    """One ticket of an order; `code` is what it shows at the door."""

    number: int
    ticket_type: str
    code: str


class ItemView(Struct):
    """So many tickets of one type."""

    ticket_type: str
    quantity: int


class OrderView(Struct):
    """An order as the contract shows it."""

    id: str
    event: str
    status: str
    buyer: str | None
    items: list[ItemView]
    tickets: list[Ticket]
    total: Money
    sold_at: str


class Stock(Struct):
    """The stock of one ticket type."""

    ticket_type: str
    capacity: int
    sold: int
    held: int
    remaining: int


class EventStock(Struct, omit_defaults=True):
    """The stock of one event; `as_of` is given where it stands alone."""

    event: str
    status: str
    capacity: int
    sold: int
    held: int
    remaining: int
    ticket_types: list[Stock]
    as_of: str | None = None


class TicketTypeView(Struct):
    """A ticket type as a buyer sees it."""

    id: str
    capacity: int
    price: Money


class EventView(Struct):
    """What is on sale."""

    id: str
    name: str
    status: str
    opens_at: str | None
    closes_at: str | None
    max_per_order: int | None
    max_per_buyer: int | None
    ticket_types: list[TicketTypeView]


def to_rfc3339(ms: int) -> str:
    """Write milliseconds since 1970 as RFC 3339 in UTC with milliseconds."""
    return f"{_to_second(ms // 1000)}.{ms % 1000:03}Z"


@functools.lru_cache(maxsize=64)  # a crowd's sales fall into few seconds
def _to_second(seconds: int) -> str:
    moment = time.gmtime(seconds)
    return f"{moment.tm_year:04}{time.strftime('-%m-%dT%H:%M:%S', moment)}"  # %Y does not pad


def view_order(order: Order) -> OrderView:
    """Return an order as the contract shows it."""
    tickets = []
    number = order.first_number
    for item in order.items:
        for _ in range(item.quantity):
            code = domain.ticket_code(order.id, number)
            tickets.append(Ticket(number, item.ticket_type, code))
            number += 1
    return OrderView(
        id=order.id,
        event=order.event,
        status="sold" if order.cancelled_entry is None else "cancelled",
        buyer=order.buyer,
        items=[ItemView(item.ticket_type, item.quantity) for item in order.items],
        tickets=tickets,
        total=Money(order.amount, order.currency),
        sold_at=to_rfc3339(order.sold_at_ms),
    )


def view_stock(event: Event, now_ms: int) -> EventStock:
    """Return an event's stock as `/remaining` shows it."""
    types = [Stock(t.id, t.capacity, t.sold, t.held, t.remaining) for t in event.ticket_types]
    return EventStock(
        event=event.id,
        status=event.status(now_ms),
        capacity=sum(t.capacity for t in types),
        sold=sum(t.sold for t in types),
        held=sum(t.held for t in types),
        remaining=sum(t.remaining for t in types),
        ticket_types=types,
    )


def view_event(event: Event) -> EventView:
    """Return an event as `/events` shows it."""
    return EventView(
        id=event.id,
        name=event.name,
        status=event.status(wall_ms()),
        opens_at=None if event.opens_at_ms is None else to_rfc3339(event.opens_at_ms),
        closes_at=None if event.closes_at_ms is None else to_rfc3339(event.closes_at_ms),
        max_per_order=event.max_per_order,
        max_per_buyer=event.max_per_buyer,
        ticket_types=[
            TicketTypeView(t.id, t.capacity, Money(t.amount, t.currency))
            for t in event.ticket_types
        ],
    )
