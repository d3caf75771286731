"""What the contract shows of orders, events and stock, as structs that encode to its JSON."""

from __future__ import annotations

import functools
import time
from hashlib import blake2b
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from workers import domain
from workers.domain import Event, Order, Status
from workers.hearts import HostPulse, wall_ms

# What a plain type does not say of itself, for /openapi.json; encoding does not look at it.
OrderId = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
Count = Annotated[int, Meta(ge=0)]
Terms = Annotated[
    str,
    Meta(
        description="Another one when the event has another name, other times, limits, ticket "
        "types or prices; how much of it is left plays no part."
    ),
]
ProcessId = Annotated[int, Meta(ge=1)]

_encode = msgspec.msgpack.Encoder().encode


class Money(Struct):
    """An amount in minor units and an ISO 4217 code; `XXX` is no currency: it was free."""

    amount: Count
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
    """A purchase that was sold; `status` tells whether it was cancelled since."""

    id: OrderId
    event: str
    status: Literal["sold", "cancelled"]
    buyer: str | None
    items: list[ItemView]
    tickets: list[Ticket]
    total: Money
    sold_at: Moment


class Orders(Struct):
    """A page of an event's orders, in the order of sale."""

    orders: list[OrderView]


class Pending(Struct):
    """A purchase that is not settled yet; after `expires_at` it can no longer be sold."""

    id: OrderId
    status: Literal["pending"]
    expires_at: Moment


class Stock(Struct):
    """The stock of one ticket type: capacity = sold + held + remaining."""

    ticket_type: str
    capacity: Count
    sold: Count
    held: Count
    remaining: Count


class EventStock(Struct):
    """The stock of one event; `as_of` is given where it stands alone."""

    event: str
    status: Status
    capacity: Count
    sold: Count
    held: Count
    remaining: Count
    ticket_types: list[Stock]
    terms: Terms
    as_of: Moment | UnsetType = UNSET


class TicketTypeView(Struct):
    """A ticket type as a buyer sees it."""

    id: str
    capacity: Count
    price: Money


class EventView(Struct):
    """What is on sale; a limit or a time that is null is none."""

    id: str
    name: str
    status: Status
    opens_at: Moment | None
    closes_at: Moment | None
    max_per_order: int | None
    max_per_buyer: int | None
    terms: Terms
    ticket_types: list[TicketTypeView]


class Events(Struct):
    """All that is on sale."""

    events: list[EventView]


class Worker(Struct):
    """A process of the pool, and what it has settled since it started.

    `pid` is null until the process is there.
    """

    worker: int
    host: str
    pid: ProcessId | None
    since: Moment
    last_heartbeat: Moment
    phase: str
    batches: Count
    purchases: Count


class Workers(Struct):
    """Every worker known."""

    workers: list[Worker]


class Health(Struct):
    """`alive` of a process, `ready` of a service that can sell."""

    status: Literal["alive", "ready"]


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
        terms=mark_terms(event),
    )


def mark_terms(event: Event) -> str:
    """Return what names the terms of an event, the same in every process and on every host."""
    return _mark(
        (
            event.name,
            event.opens_at_ms,
            event.closes_at_ms,
            event.max_per_order,
            event.max_per_buyer,
            *((t.id, t.amount, t.currency) for t in event.ticket_types),
        )
    )


@functools.lru_cache(maxsize=4_096)  # each read of the stock asks it of each event: 0.5 µs, not 1.3
def _mark(terms: tuple[object, ...]) -> str:
    return blake2b(_encode(terms), digest_size=6).hexdigest()


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
        terms=mark_terms(event),
        ticket_types=[
            TicketTypeView(t.id, t.capacity, Money(t.amount, t.currency))
            for t in event.ticket_types
        ],
    )


def view_worker(known: HostPulse) -> Worker:
    """Return a worker as `/workers` shows it."""
    pulse = known.pulse
    return Worker(
        worker=pulse.worker,
        host=known.host,
        pid=pulse.pid or None,  # signals to 0 would reach whoever sends them
        since=to_rfc3339(pulse.started_ms),
        last_heartbeat=to_rfc3339(pulse.beat_ms),
        phase=pulse.phase.name.lower(),
        batches=pulse.batches,
        purchases=pulse.purchases,
    )
