"""What the service says, as structs. Members that a later service adds are ignored."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Money(Struct, frozen=True):
    """An amount in minor units (cents) of an ISO 4217 currency."""

    amount: int
    currency: str


class Item(Struct, frozen=True, omit_defaults=True):
    """So many tickets of one ticket type; without a type, of the only one the event has."""

    quantity: int
    ticket_type: str | None = None


class Ticket(Struct, frozen=True):
    """One ticket. Its number is unique within the event; its code is what the door checks."""

    number: int
    ticket_type: str
    code: str


class Order(Struct, frozen=True):
    """A purchase that was sold. `status` is `sold` or `cancelled`."""

    id: str
    event: str
    status: str
    items: tuple[Item, ...]
    tickets: tuple[Ticket, ...]
    sold_at: datetime
    total: Money | None = None
    buyer: str | None = None


class Pending(Struct, frozen=True):
    """A purchase handed over and not settled yet; after `expires_at` it can no longer be sold."""

    id: str
    expires_at: datetime
    status: str = "pending"


class TicketTypeStock(Struct, frozen=True):
    """The stock of one ticket type: capacity = sold + held + remaining."""

    ticket_type: str
    capacity: int
    sold: int
    held: int
    remaining: int


class EventStock(Struct, frozen=True, omit_defaults=True):
    """The stock of one event, and of each of its ticket types."""

    event: str
    status: str
    capacity: int
    sold: int
    held: int
    remaining: int
    ticket_types: tuple[TicketTypeStock, ...]
    terms: str = ""  # another one when the event's name, times, limits, types or prices changed
    as_of: datetime | None = None


class Remaining(Struct, frozen=True):
    """The stock of all events at one moment."""

    as_of: datetime
    events: tuple[EventStock, ...]


class TicketType(Struct, frozen=True, omit_defaults=True):
    """One kind of ticket of an event, as it is put on sale."""

    id: str
    capacity: int
    price: Money | None = None


class Event(Struct, frozen=True):
    """What is on sale: names, opening times, limits, ticket types with prices."""

    id: str
    name: str
    status: str
    ticket_types: tuple[TicketType, ...]
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    max_per_order: int | None = None
    max_per_buyer: int | None = None
    terms: str = ""


class Audit(Struct, frozen=True):
    """An event's journal, replayed and compared with all else; `findings` says what differs."""

    consistent: bool
    entries: int
    capacity: int
    sold: int
    held: int
    remaining: int
    orders: int
    tickets: int
    findings: tuple[str, ...] = ()
    event: str = ""
    cancelled_orders: int = 0


class Worker(Struct, frozen=True):
    """A process of the pool, and what it has settled since it started; no `pid` while it boots."""

    worker: int
    host: str
    pid: int | None
    since: datetime
    last_heartbeat: datetime
    batches: int
    purchases: int
    phase: str = ""


class Events(Struct, frozen=True):
    """All that is on sale."""

    events: tuple[Event, ...]


class Orders(Struct, frozen=True):
    """One page of an event's orders."""

    orders: tuple[Order, ...]


class Workers(Struct, frozen=True):
    """The whole pool."""

    workers: tuple[Worker, ...]
