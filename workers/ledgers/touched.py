"""What a batch touches, by its commands: which orders, events and counts a ledger must load."""

from __future__ import annotations

from workers.domain import CancelOrder, Command, Order, Probe, Purchase, PutEvent, SwitchEvent


def named(commands: list[Command]) -> tuple[set[str], set[str]]:
    """Return the ids of the orders and of the events that a batch names."""
    orders, events = set(), set()
    for command in commands:
        match command:
            case Purchase():
                orders.add(command.id)
                events.add(command.event)
            case CancelOrder():
                orders.add(command.id)
            case PutEvent() | SwitchEvent():
                events.add(command.event)
            case Probe():
                pass
    return orders, events


def accounts(commands: list[Command], orders: dict[str, Order]) -> set[tuple[str, str]]:
    """Return the (event, buyer) pairs whose counts a batch may read or change."""
    buys = {(c.event, c.buyer) for c in commands if isinstance(c, Purchase) and c.buyer is not None}
    return buys | {(o.event, o.buyer) for o in orders.values() if o.buyer is not None}
