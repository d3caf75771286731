"""Short ways to say what a test is about: events, purchases, and the state a ledger would load."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from workers.domain import (
    CancelOrder,
    Command,
    Event,
    Item,
    Now,
    Order,
    Outcome,
    Purchase,
    PutEvent,
    Sold,
    Switch,
    SwitchEvent,
    TicketType,
    fingerprint,
)
from workers.rules import Settlement, State, settle

NOW = Now(wall_ms=1_000_000, clock_ms=5_000)
IN_TIME = NOW.clock_ms + 30_000
PAST = NOW.clock_ms - 1


def order_id(number: int) -> str:
    """Return the id that the purchase with key `number` has."""
    return str(UUID(int=number))


def settle_with_a_bug(state: State, commands: list[Command], now: Now) -> Settlement:
    """Settle as `settle` does, but for the purchase with key 2, which meets a bug."""
    if any(getattr(command, "id", "") == order_id(2) for command in commands):
        raise ZeroDivisionError
    return settle(state, commands, now)


def gala(capacity: int = 100, **more: Any) -> Event:
    """An event with one ticket type, `standing`."""
    return Event("gala", "Gala", [TicketType("standing", capacity)], **more)


def gala_with_boxes(standing: int = 100, box: int = 10, **more: Any) -> Event:
    """An event with two ticket types: `standing` for 10.00 and `box` for 75.00."""
    types = [TicketType("standing", standing, 1_000, "EUR"), TicketType("box", box, 7_500, "EUR")]
    return Event("gala", "Gala", types, **more)


def buy(
    key: int = 1,
    quantity: int = 1,
    *,
    event: str = "gala",
    buyer: str | None = None,
    deadline_ms: int = IN_TIME,
) -> Purchase:
    """Wish for tickets of an event's only type."""
    return buy_items(key, [Item(None, quantity)], event=event, buyer=buyer, deadline_ms=deadline_ms)


def buy_items(
    key: int,
    items: list[Item],
    *,
    event: str = "gala",
    buyer: str | None = None,
    deadline_ms: int = IN_TIME,
) -> Purchase:
    """Wish for tickets of several types."""
    body = fingerprint(event, items, buyer)
    return Purchase(deadline_ms, order_id(key), body, event, items, buyer)


def cancel(key: int = 1, *, deadline_ms: int = IN_TIME) -> CancelOrder:
    """Take the order with key `key` back."""
    return CancelOrder(deadline_ms, order_id(key))


def put(event: Event, *, deadline_ms: int = IN_TIME, **changes: Any) -> PutEvent:
    """Ask that an event be as `event` says, but for some changes."""
    wanted: dict[str, Any] = {
        "name": event.name,
        "ticket_types": [
            TicketType(t.id, t.capacity, t.amount, t.currency) for t in event.ticket_types
        ],
        "opens_at_ms": event.opens_at_ms,
        "closes_at_ms": event.closes_at_ms,
        "max_per_order": event.max_per_order,
        "max_per_buyer": event.max_per_buyer,
        **changes,
    }
    return PutEvent(deadline_ms, event.id, **wanted)


def switch(to: Switch, *, event: str = "gala", deadline_ms: int = IN_TIME) -> SwitchEvent:
    """Open an event again, pause it or close it."""
    return SwitchEvent(deadline_ms, event, to)


def state_of(
    *events: Event,
    orders: Iterable[Order] = (),
    bought: dict[tuple[str, str], int] | None = None,
) -> State:
    """Return what a ledger would load."""
    return State(
        events={event.id: event for event in events},
        orders={order.id: order for order in orders},
        bought=bought or {},
    )


def decide(state: State, *commands: Command, now: Now = NOW) -> list[Outcome]:
    """Settle one batch and return its outcomes."""
    return settle(state, list(commands), now).outcomes


def decide_one(state: State, command: Command, now: Now = NOW) -> Outcome:
    """Settle one command alone."""
    return decide(state, command, now=now)[0]


def sell(state: State, purchase: Purchase, now: Now = NOW) -> Order:
    """Settle a purchase that must be sold, and return its order."""
    outcome = decide_one(state, purchase, now)
    assert isinstance(outcome, Sold), outcome
    return outcome.order
