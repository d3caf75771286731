"""The rules of the sale, and nothing else: commands go in, outcomes and changes come out.

`settle` decides; it reads no clock, no file and no network, so whatever it decides can be decided
again in a test. A ledger loads the `State` that a batch touches and commits the `Settlement`.
"""

from __future__ import annotations

from msgspec import Struct, field

from workers.domain import (
    MAX_TICKETS_PER_ORDER,
    BuyerLimit,
    Cancelled,
    CancelOrder,
    CapacityCommitted,
    Command,
    Entry,
    Event,
    EventStored,
    EventSwitched,
    Invalid,
    Item,
    KeyReused,
    NotOnSale,
    Now,
    Order,
    OrderCancelled,
    OrderItem,
    Outcome,
    Probe,
    Probed,
    Purchase,
    PutEvent,
    Sold,
    SoldOut,
    Stored,
    SwitchEvent,
    TicketsSold,
    TicketType,
    TooLate,
    UnknownEvent,
    UnknownOrder,
    UnknownTicketType,
)
from workers.errors import Inconsistent


class State(Struct):
    """What a batch touches, as the ledger has it. `settle` works on it and leaves it as changed.

    `bought` counts tickets by (event, buyer), for every buyer named in the batch, of events that
    limit tickets per buyer or will by a command of this batch. `elsewhere` are ids of purchases
    whose key was used for an event that another shard sells.
    """

    events: dict[str, Event] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    bought: dict[tuple[str, str], int] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)


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
    if purchase.id in state.elsewhere:
        return KeyReused()
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
    if shut := event.shut(now.wall_ms):
        return NotOnSale(shut, event.opens_at_ms)
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
        if wanted and any(ticket_type is other for other, _ in wanted):
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
