"""The words of the sale: what is sold, what may be asked, what comes of it, what is written down.

Structs tell what follows from themselves alone (an event its status, an order its numbers); what
happens to them `rules.settle` decides. They cross the borders between processes, so whatever reads
them checks their types. Beside them: what names an order in a ledger, a ticket at the door, a wish.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

MAX_TICKETS_PER_ORDER = (
    1_000  # one ledger row a ticket: bounds what one purchase makes a batch write
)
MAX_ITEMS_PER_ORDER = 50
MAX_TICKET_TYPES = 100
MAX_CAPACITY = 100_000_000
NO_CURRENCY = "XXX"  # ISO 4217's own code for "no currency is involved"
MAX_AMOUNT = 1_000_000_000_000  # minor units; times MAX_TICKETS_PER_ORDER still far below 2**63

_encode = msgspec.msgpack.Encoder().encode

Switch: TypeAlias = Literal["open", "paused", "closed"]
Status: TypeAlias = Literal["scheduled", "on_sale", "all_held", "sold_out", "paused", "closed"]


class Now(Struct, frozen=True):
    """One moment by two clocks: `wall_ms` is what people read, `clock_ms` never goes back."""

    wall_ms: int  # milliseconds since 1970, UTC
    clock_ms: int  # milliseconds of the clock that deadlines are stated in


# --- what is sold ---------------------------------------------------------------------------------


class TicketType(Struct):
    """One kind of ticket and its stock: capacity = sold + held + remaining."""

    id: str
    capacity: int
    amount: int = 0  # price of one ticket, minor units
    currency: str = NO_CURRENCY  # ISO 4217
    sold: int = 0
    held: int = 0

    @property
    def committed(self) -> int:
        """Tickets that are promised to somebody."""
        return self.sold + self.held

    @property
    def remaining(self) -> int:
        """Tickets that can still be sold."""
        return self.capacity - self.sold - self.held


class Event(Struct):
    """What is on sale. `entries` and `next_number` count its journal and its tickets."""

    id: str
    name: str
    ticket_types: list[TicketType]
    opens_at_ms: int | None = None
    closes_at_ms: int | None = None
    max_per_order: int | None = None
    max_per_buyer: int | None = None
    switch: Switch = "open"
    next_number: int = 1
    entries: int = 0

    def ticket_type(self, ticket_type_id: str) -> TicketType | None:
        """Return one ticket type, or None."""
        for ticket_type in self.ticket_types:
            if ticket_type.id == ticket_type_id:
                return ticket_type
        return None

    def shut(self, wall_ms: int) -> Literal["scheduled", "paused", "closed"] | None:
        """Say why nobody may buy at this moment, whatever is left; None if they may."""
        if self.switch == "closed" or (
            self.closes_at_ms is not None and wall_ms >= self.closes_at_ms
        ):
            return "closed"
        if self.switch == "paused":
            return "paused"
        if self.opens_at_ms is not None and wall_ms < self.opens_at_ms:
            return "scheduled"
        return None

    def status(self, wall_ms: int) -> Status:
        """Say what a buyer would meet at this moment."""
        if shut := self.shut(wall_ms):
            return shut
        if any(t.remaining for t in self.ticket_types):
            return "on_sale"
        return "all_held" if any(t.held for t in self.ticket_types) else "sold_out"


class OrderItem(Struct, array_like=True, frozen=True):
    """So many tickets of one ticket type."""

    ticket_type: str
    quantity: int


class Order(Struct):
    """A purchase that was sold. Its tickets are numbered from `first_number` on, in item order."""

    id: str
    event: str
    entry: int  # of the event's journal: orders of an event sort by it in the order of sale
    fingerprint: bytes
    buyer: str | None
    items: list[OrderItem]
    first_number: int
    amount: int
    currency: str
    sold_at_ms: int
    cancelled_entry: int | None = None

    @property
    def quantity(self) -> int:
        """Tickets in this order."""
        return sum(item.quantity for item in self.items)

    def numbers(self) -> range:
        """Return the ticket numbers of this order."""
        return range(self.first_number, self.first_number + self.quantity)


def order_id_bytes(order_id: str) -> bytes:
    """Return the 16 bytes of an order's id. Raises ValueError for any other spelling of them.

    Ledgers keep the bytes: an id in other letters would be found, and then not be recognized.
    """
    digits = order_id.replace("-", "")
    found = bytes.fromhex(digits)
    if found.hex() != digits or len(order_id) != 36 or order_id[8:24:5] != "----":
        raise ValueError(f"no order's id: {order_id!r}")
    return found


def ticket_code(order_id: str, number: int) -> str:
    """Return what a ticket shows at the door: 16 hex digits that follow from its order's secret id.

    It says nothing about the id: who sees one ticket learns neither the order nor its others.
    """
    return blake2b(
        f"{order_id}/{number}".encode(), digest_size=8, person=b"soldout ticket"
    ).hexdigest()


# --- the journal: every change is an entry, numbered within its event, never altered --------------


class EventStored(Struct, tag="event", tag_field="kind", omit_defaults=True):
    """The event was created or changed: all of what it now says."""

    name: str
    ticket_types: list[tuple[str, int, int, str]]  # id, capacity, amount, currency
    opens_at_ms: int | None = None
    closes_at_ms: int | None = None
    max_per_order: int | None = None
    max_per_buyer: int | None = None


class EventSwitched(Struct, tag="switch", tag_field="kind"):
    """The event was opened again, paused or closed."""

    switch: Switch


class TicketsSold(Struct, tag="sold", tag_field="kind"):
    """An order took tickets numbered from `first_number` on."""

    order: str
    items: list[OrderItem]
    first_number: int


class OrderCancelled(Struct, tag="cancelled", tag_field="kind"):
    """An order, sold in entry `sale`, gave its stock back."""

    order: str
    items: list[OrderItem]
    sale: int


Fact: TypeAlias = EventStored | EventSwitched | TicketsSold | OrderCancelled


class Entry(Struct):
    """One line of an event's journal."""

    event: str
    number: int
    at_ms: int
    fact: Fact


# --- commands: everything that may change the ledger ----------------------------------------------


class Item(Struct, array_like=True, frozen=True):
    """A wish for tickets; without a ticket type the event must have exactly one."""

    ticket_type: str | None
    quantity: Annotated[int, Meta(ge=1, le=MAX_TICKETS_PER_ORDER)]


class Purchase(Struct, tag="buy", array_like=True, frozen=True):
    """One wish to buy. `id` follows from the idempotency key, `fingerprint` from the body."""

    deadline_ms: int
    id: str
    fingerprint: bytes
    event: str
    items: Annotated[list[Item], Meta(min_length=1, max_length=MAX_ITEMS_PER_ORDER)]
    buyer: str | None = None


def fingerprint(event: str, items: list[Item], buyer: str | None) -> bytes:
    """Return 16 bytes that tell one purchase's body from another's."""
    return blake2b(_encode((event, items, buyer)), digest_size=16).digest()


class PutEvent(Struct, tag="put", array_like=True, frozen=True):
    """Create an event or change what it says; its stock and switch stay."""

    deadline_ms: int
    event: str
    name: str
    ticket_types: list[TicketType]
    opens_at_ms: int | None = None
    closes_at_ms: int | None = None
    max_per_order: int | None = None
    max_per_buyer: int | None = None


class SwitchEvent(Struct, tag="switch", array_like=True, frozen=True):
    """Open an event again, pause it or close it."""

    deadline_ms: int
    event: str
    switch: Switch


class CancelOrder(Struct, tag="cancel", array_like=True, frozen=True):
    """Take an order back."""

    deadline_ms: int
    id: str


class Probe(Struct, tag="probe", array_like=True, frozen=True):
    """Ask whether a worker answers and the ledger can be written; changes nothing of the sale."""

    deadline_ms: int


Command: TypeAlias = Purchase | PutEvent | SwitchEvent | CancelOrder | Probe


# --- outcomes: refusals are values ----------------------------------------------------------------


class Sold(Struct, tag="sold", array_like=True, frozen=True):
    """The purchase is an order; `replayed` if it already was one."""

    order: Order
    replayed: bool = False


class Stored(Struct, tag="stored", array_like=True, frozen=True):
    """The event is as asked."""

    event: Event
    created: bool = False


class Cancelled(Struct, tag="cancelled", array_like=True, frozen=True):
    """The order is cancelled, now or already before."""

    order: Order
    replayed: bool = False


class Probed(Struct, tag="probed", array_like=True, frozen=True):
    """A worker answered, and the ledger took a write."""


class TooLate(Struct, tag="too-late", array_like=True, frozen=True):
    """The deadline had passed; nothing was done, and nothing will be."""


class UnknownEvent(Struct, tag="unknown-event", array_like=True, frozen=True):
    """No such event."""

    event: str


class UnknownTicketType(Struct, tag="unknown-ticket-type", array_like=True, frozen=True):
    """The event has no such ticket type."""

    event: str
    ticket_type: str


class UnknownOrder(Struct, tag="unknown-order", array_like=True, frozen=True):
    """No such order."""

    id: str


class KeyReused(Struct, tag="key-reused", array_like=True, frozen=True):
    """The key already names a purchase with another body."""


class Invalid(Struct, tag="invalid", array_like=True, frozen=True):
    """The request breaks a rule of this event."""

    field: str
    reason: str


class NotOnSale(Struct, tag="not-on-sale", array_like=True, frozen=True):
    """Not opened yet, paused or closed."""

    status: Status
    opens_at_ms: int | None


class BuyerLimit(Struct, tag="buyer-limit", array_like=True, frozen=True):
    """More than this buyer may have."""

    max_per_buyer: int
    bought: int


class SoldOut(Struct, tag="sold-out", array_like=True, frozen=True):
    """Not enough tickets of this type are left; `held` ones may come back."""

    ticket_type: str
    remaining: int
    held: int


class CapacityCommitted(Struct, tag="capacity-committed", array_like=True, frozen=True):
    """The capacity asked for is below what is sold and held."""

    ticket_type: str
    capacity: int
    committed: int


class Unsettled(Struct, tag="unsettled", array_like=True, frozen=True):
    """The ledger could not be written; the same key is safe to send again."""

    reason: str


class Unreached(Struct, tag="unreached", array_like=True, frozen=True):
    """No worker was reached in time, or none that answered: not known to be settled."""


Refusal: TypeAlias = (
    TooLate
    | UnknownEvent
    | UnknownTicketType
    | UnknownOrder
    | KeyReused
    | Invalid
    | NotOnSale
    | BuyerLimit
    | SoldOut
    | CapacityCommitted
)
Outcome: TypeAlias = Sold | Stored | Cancelled | Probed | Unsettled | Unreached | Refusal
