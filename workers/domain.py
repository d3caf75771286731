"""The rules of the sale, and nothing else: commands come in, outcomes and changes go out.

`settle` decides; it reads no clock, no file and no network, so whatever it decides can be decided
again in a test. A ledger loads the `State` that a batch touches and commits the `Settlement`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from workers.errors import Inconsistent

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

    def status(self, wall_ms: int) -> Status:
        """Say what a buyer would meet at this moment."""
        if self.switch == "closed" or (
            self.closes_at_ms is not None and wall_ms >= self.closes_at_ms
        ):
            return "closed"
        if self.switch == "paused":
            return "paused"
        if self.opens_at_ms is not None and wall_ms < self.opens_at_ms:
            return "scheduled"
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
    items: list[Item]
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
    """A fault of operation: not known to be settled; the same key is safe to send again."""

    reason: str


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
Outcome: TypeAlias = Sold | Stored | Cancelled | Probed | Unsettled | Refusal


# --- deciding -------------------------------------------------------------------------------------


class State(Struct):
    """What a batch touches, as the ledger has it. `settle` works on it and leaves it as changed.

    `bought` counts tickets by (event, buyer), for every buyer named in the batch, of events that
    limit tickets per buyer or will by a command of this batch.
    """

    events: dict[str, Event] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    bought: dict[tuple[str, str], int] = field(default_factory=dict)


class Settlement(Struct):
    """What was decided: an outcome for each command, and all that the ledger must write.

    `events` and `bought` hold the new values of what changed; `sales` and `cancels` the orders.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    events: dict[str, Event] = field(default_factory=dict)
    sales: list[Order] = field(default_factory=list)
    cancels: list[Order] = field(default_factory=list)
    bought: dict[tuple[str, str], int] = field(default_factory=dict)
    probed: bool = False


def settle(state: State, commands: list[Command], now: Now) -> Settlement:
    """Decide a batch in its order of arrival.

    `state` must hold every event, order and count that `commands` name, and is changed in place.
    Refusals are values, in a fixed order for each command; only a broken invariant raises
    (Inconsistent).
    """
    settlement = Settlement()
    sold_before = {
        (event.id, t.id): t.sold for event in state.events.values() for t in event.ticket_types
    }
    for command in commands:
        settlement.outcomes.append(_decide(state, command, now, settlement))
    _check_conserved(settlement, sold_before)
    return settlement


def _decide(state: State, command: Command, now: Now, settlement: Settlement) -> Outcome:
    match command:
        case Purchase():
            return _buy(state, command, now, settlement)
        case CancelOrder():
            return _cancel(state, command, now, settlement)
        case PutEvent():
            return _put(state, command, now, settlement)
        case SwitchEvent():
            return _switch(state, command, now, settlement)
        case Probe():
            return _probe(command, now, settlement)


def _buy(state: State, purchase: Purchase, now: Now, settlement: Settlement) -> Outcome:
    known = state.orders.get(purchase.id)
    if known is not None:  # before every rule, the deadline included: what was sold stays sold
        return (
            Sold(known, replayed=True) if known.fingerprint == purchase.fingerprint else KeyReused()
        )
    if now.clock_ms > purchase.deadline_ms:
        return TooLate()
    event = state.events.get(purchase.event)
    if event is None:
        return UnknownEvent(purchase.event)
    wanted = _resolve(event, purchase.items)
    if not isinstance(wanted, list):
        return wanted
    quantity = sum(item.quantity for item in purchase.items)
    most = event.max_per_order or MAX_TICKETS_PER_ORDER
    if quantity > most:
        return Invalid("quantity", f"more than {most} tickets in one order")
    if event.max_per_buyer is not None and purchase.buyer is None:
        return Invalid("buyer", "required: this event limits tickets per buyer")
    status = event.status(now.wall_ms)
    if status in {"scheduled", "paused", "closed"}:
        return NotOnSale(status, event.opens_at_ms)
    account = (event.id, purchase.buyer or "")
    if event.max_per_buyer is not None and state.bought[account] + quantity > event.max_per_buyer:
        return BuyerLimit(event.max_per_buyer, state.bought[account])
    for ticket_type, wanted_quantity in wanted:
        if wanted_quantity > ticket_type.remaining:
            return SoldOut(ticket_type.id, ticket_type.remaining, ticket_type.held)

    # All is checked; from here on nothing may refuse or fail.
    amount = 0
    for ticket_type, wanted_quantity in wanted:
        ticket_type.sold += wanted_quantity
        amount += ticket_type.amount * wanted_quantity
    event.entries += 1
    order = Order(
        id=purchase.id,
        event=event.id,
        entry=event.entries,
        fingerprint=purchase.fingerprint,
        buyer=purchase.buyer,
        items=[OrderItem(ticket_type.id, quantity) for ticket_type, quantity in wanted],
        first_number=event.next_number,
        amount=amount,
        currency=wanted[0][0].currency,
        sold_at_ms=now.wall_ms,
    )
    event.next_number += quantity
    state.orders[order.id] = order
    _count(state, settlement, account, quantity)
    fact = TicketsSold(order.id, order.items, order.first_number)
    settlement.entries.append(Entry(event.id, order.entry, now.wall_ms, fact))
    settlement.events[event.id] = event
    settlement.sales.append(order)
    return Sold(order)


def _resolve(
    event: Event, items: list[Item]
) -> list[tuple[TicketType, int]] | UnknownTicketType | Invalid:
    """Find what an order names; no type may be named twice, or stock would be checked twice."""
    wanted: list[tuple[TicketType, int]] = []
    for position, item in enumerate(items):
        if item.ticket_type is None:
            if len(event.ticket_types) != 1:
                return Invalid("ticket_type", "required: this event has more than one ticket type")
            ticket_type = event.ticket_types[0]
        else:
            found = event.ticket_type(item.ticket_type)
            if found is None:
                return UnknownTicketType(event.id, item.ticket_type)
            ticket_type = found
        if any(ticket_type is other for other, _ in wanted):
            return Invalid(f"items[{position}].ticket_type", "named twice in one order")
        wanted.append((ticket_type, item.quantity))
    return wanted


def _cancel(state: State, command: CancelOrder, now: Now, settlement: Settlement) -> Outcome:
    order = state.orders.get(command.id)
    if order is not None and order.cancelled_entry is not None:
        return Cancelled(order, replayed=True)
    if now.clock_ms > command.deadline_ms:
        return TooLate()
    if order is None:
        return UnknownOrder(command.id)

    event = state.events[order.event]
    for item in order.items:
        ticket_type = event.ticket_type(item.ticket_type)
        if ticket_type is None:
            raise Inconsistent(
                f"{event.id}: the ticket type {item.ticket_type} was sold and is gone"
            )
        ticket_type.sold -= item.quantity
    event.entries += 1
    order.cancelled_entry = event.entries
    _count(state, settlement, (event.id, order.buyer or ""), -order.quantity)
    fact = OrderCancelled(order.id, order.items, order.entry)
    settlement.entries.append(Entry(event.id, event.entries, now.wall_ms, fact))
    settlement.events[event.id] = event
    settlement.cancels.append(order)
    return Cancelled(order)


def _count(state: State, settlement: Settlement, account: tuple[str, str], quantity: int) -> None:
    """Keep the counts that the ledger loaded, which are those of events that limit buyers."""
    if account in state.bought:
        state.bought[account] = settlement.bought[account] = state.bought[account] + quantity


def _put(state: State, command: PutEvent, now: Now, settlement: Settlement) -> Outcome:
    if now.clock_ms > command.deadline_ms:
        return TooLate()
    known = state.events.get(command.event)
    asked = {ticket_type.id: ticket_type for ticket_type in command.ticket_types}
    for ticket_type in known.ticket_types if known else ():
        capacity = asked[ticket_type.id].capacity if ticket_type.id in asked else 0
        if capacity < ticket_type.committed:
            return CapacityCommitted(ticket_type.id, capacity, ticket_type.committed)

    event = Event(
        id=command.event,
        name=command.name,
        ticket_types=[_with_stock_of(known, ticket_type) for ticket_type in command.ticket_types],
        opens_at_ms=command.opens_at_ms,
        closes_at_ms=command.closes_at_ms,
        max_per_order=command.max_per_order,
        max_per_buyer=command.max_per_buyer,
    )
    if known is not None:
        event.switch = known.switch
        event.next_number = known.next_number
        event.entries = known.entries
        if event == known:
            return Stored(event)
    event.entries += 1
    fact = EventStored(
        name=event.name,
        ticket_types=[(t.id, t.capacity, t.amount, t.currency) for t in event.ticket_types],
        opens_at_ms=event.opens_at_ms,
        closes_at_ms=event.closes_at_ms,
        max_per_order=event.max_per_order,
        max_per_buyer=event.max_per_buyer,
    )
    settlement.entries.append(Entry(event.id, event.entries, now.wall_ms, fact))
    state.events[event.id] = settlement.events[event.id] = event
    return Stored(event, created=known is None)


def _with_stock_of(known: Event | None, asked: TicketType) -> TicketType:
    before = known.ticket_type(asked.id) if known else None
    sold, held = (before.sold, before.held) if before else (0, 0)
    return TicketType(asked.id, asked.capacity, asked.amount, asked.currency, sold, held)


def _switch(state: State, command: SwitchEvent, now: Now, settlement: Settlement) -> Outcome:
    if now.clock_ms > command.deadline_ms:
        return TooLate()
    event = state.events.get(command.event)
    if event is None:
        return UnknownEvent(command.event)
    if command.switch == "paused" and event.switch == "closed":
        return NotOnSale("closed", event.opens_at_ms)
    if event.switch == command.switch:
        return Stored(event)

    event.switch = command.switch
    event.entries += 1
    entry = Entry(event.id, event.entries, now.wall_ms, EventSwitched(command.switch))
    settlement.entries.append(entry)
    settlement.events[event.id] = event
    return Stored(event)


def _probe(command: Probe, now: Now, settlement: Settlement) -> Outcome:
    if now.clock_ms > command.deadline_ms:
        return TooLate()
    settlement.probed = True
    return Probed()


def _check_conserved(settlement: Settlement, sold_before: dict[tuple[str, str], int]) -> None:
    """Check *the* invariant from the other side: what was sold before, plus what orders say."""
    expected = dict(sold_before)
    for orders, sign in ((settlement.sales, 1), (settlement.cancels, -1)):
        for order in orders:
            for item in order.items:
                name = (order.event, item.ticket_type)
                expected[name] = expected.get(name, 0) + sign * item.quantity
    for event in settlement.events.values():
        for t in event.ticket_types:
            if t.sold != expected.get((event.id, t.id), 0):
                raise Inconsistent(f"{event.id}/{t.id}: {t.sold} sold, but orders say otherwise")
            if min(t.sold, t.held, t.remaining) < 0:
                raise Inconsistent(
                    f"{event.id}/{t.id}: {t.sold} sold, {t.held} held of {t.capacity}"
                )
