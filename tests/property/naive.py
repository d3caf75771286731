"""The sale as somebody writes it who wants nothing but to be right: dicts, and loops over all.

It counts everything anew whenever it is asked, keeps no running totals, and shares no code with
`settle`. `plainly` brings an outcome of `settle` into the form in which this one answers.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from workers.domain import (
    Cancelled,
    CancelOrder,
    Command,
    Event,
    Now,
    Order,
    Outcome,
    Probe,
    Purchase,
    PutEvent,
    Sold,
    Stored,
    SwitchEvent,
)

Plain: TypeAlias = tuple[object, ...]


class NaiveSale:
    """All that was ever put and sold, as lists of dicts."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.orders: list[dict[str, Any]] = []
        self.changes: list[str] = []  # the event of every change, in their order

    def settle(self, commands: list[Command], now: Now) -> list[Plain]:
        """Do one command after another."""
        return [self.do(command, now) for command in commands]

    def do(self, command: Command, now: Now) -> Plain:
        late = now.clock_ms > command.deadline_ms
        if isinstance(command, Purchase):
            return self.buy(command, now, late)
        if isinstance(command, CancelOrder):
            return self.cancel(command, late)
        if late:
            return ("too-late",)
        if isinstance(command, PutEvent):
            return self.put(command)
        if isinstance(command, SwitchEvent):
            return self.switch(command)
        assert isinstance(command, Probe)
        return ("probed",)

    def buy(self, wish: Purchase, now: Now, late: bool) -> Plain:
        body = wish.event, wish.items, wish.buyer
        for order in self.orders:
            if order["id"] == wish.id:
                return self.sold_again(order) if order["body"] == body else ("key-reused",)
        if late:
            return ("too-late",)
        if wish.event not in self.events:
            return ("unknown-event", wish.event)
        event = self.events[wish.event]
        refusal, names = name_types(event, wish)
        if refusal:
            return refusal
        wanted = {name: item.quantity for name, item in zip(names, wish.items, strict=True)}
        refusal = self.refuse(wish, event, wanted, now)
        if refusal:
            return refusal

        total = sum(wanted.values())
        numbers = len(self.numbers_given(wish.event))
        self.changes.append(wish.event)
        order = {
            "id": wish.id,
            "body": body,
            "event": wish.event,
            "buyer": wish.buyer,
            "items": wanted,
            "numbers": list(range(numbers + 1, numbers + 1 + total)),
            "amount": sum(event["types"][name]["amount"] * wanted[name] for name in wanted),
            "sold_at_ms": now.wall_ms,
            "entry": self.changes.count(wish.event),
            "cancelled": None,
        }
        self.orders.append(order)
        return ("sold", *show(order), False)

    def refuse(
        self, wish: Purchase, event: dict[str, Any], wanted: dict[str, int], now: Now
    ) -> Plain | None:
        total, most = sum(wanted.values()), event["max_per_order"]
        if most and total > most:
            return ("invalid", "quantity", f"more than {most} tickets in one order")
        limit = event["max_per_buyer"]
        if limit and not wish.buyer:
            return ("invalid", "buyer", "required: this event limits tickets per buyer")
        for status, applies in (
            ("closed", event["switch"] == "closed" or is_after(now, event["closes_at_ms"])),
            ("paused", event["switch"] == "paused"),
            ("scheduled", event["opens_at_ms"] and not is_after(now, event["opens_at_ms"])),
        ):
            if applies:
                return ("not-on-sale", status, event["opens_at_ms"])
        if limit and self.bought_by(wish.buyer, wish.event) + total > limit:
            return ("buyer-limit", limit, self.bought_by(wish.buyer, wish.event))
        for name, quantity in wanted.items():
            remaining = event["types"][name]["capacity"] - self.sold(wish.event, name)
            if quantity > remaining:
                return ("sold-out", name, remaining, 0)
        return None

    def sold_again(self, order: dict[str, Any]) -> Plain:
        return ("sold", *show(order), True)

    def cancel(self, command: CancelOrder, late: bool) -> Plain:
        found = [order for order in self.orders if order["id"] == command.id]
        if found and found[0]["cancelled"]:
            return ("cancelled", *show(found[0]), True)
        if late:
            return ("too-late",)
        if not found:
            return ("unknown-order", command.id)
        self.changes.append(found[0]["event"])
        found[0]["cancelled"] = self.changes.count(found[0]["event"])
        return ("cancelled", *show(found[0]), False)

    def put(self, command: PutEvent) -> Plain:
        asked = {t.id: {"capacity": t.capacity, "amount": t.amount} for t in command.ticket_types}
        known = self.events.get(command.event)
        for name in known["types"] if known else ():
            sold, capacity = self.sold(command.event, name), asked.get(name, {"capacity": 0})
            if capacity["capacity"] < sold:
                return ("capacity-committed", name, capacity["capacity"], sold)
        wanted = {
            "name": command.name,
            "types": asked,
            "opens_at_ms": command.opens_at_ms,
            "closes_at_ms": command.closes_at_ms,
            "max_per_order": command.max_per_order,
            "max_per_buyer": command.max_per_buyer,
            "switch": known["switch"] if known else "open",
        }
        same_order = known is not None and list(known["types"]) == list(asked)
        if known != wanted or not same_order:
            self.changes.append(command.event)
        self.events[command.event] = wanted
        return ("stored", command.event, known is None)

    def switch(self, command: SwitchEvent) -> Plain:
        event = self.events.get(command.event)
        if event is None:
            return ("unknown-event", command.event)
        if event["switch"] == "closed" and command.switch == "paused":
            return ("not-on-sale", "closed", event["opens_at_ms"])
        if event["switch"] != command.switch:
            event["switch"] = command.switch
            self.changes.append(command.event)
        return ("stored", command.event, False)

    # --- counting, from the first order on ---

    def sold(self, event: str, name: str) -> int:
        standing = [o for o in self.orders if o["event"] == event and not o["cancelled"]]
        return sum(order["items"].get(name, 0) for order in standing)

    def bought_by(self, buyer: str | None, event: str) -> int:
        standing = [o for o in self.orders if o["event"] == event and not o["cancelled"]]
        return sum(len(order["numbers"]) for order in standing if order["buyer"] == buyer)

    def numbers_given(self, event: str) -> list[int]:
        return [n for order in self.orders if order["event"] == event for n in order["numbers"]]

    def stock(self) -> dict[str, Plain]:
        """Say all that can be seen of each event."""
        return {
            name: (
                [
                    (type_name, t["capacity"], self.sold(name, type_name), 0, t["amount"])
                    for type_name, t in event["types"].items()
                ],
                *(event[part] for part in ("name", "opens_at_ms", "closes_at_ms")),
                *(event[part] for part in ("max_per_order", "max_per_buyer", "switch")),
                len(self.numbers_given(name)) + 1,
                self.changes.count(name),
            )
            for name, event in self.events.items()
        }

    def orders_of(self, event: str) -> list[Plain]:
        """Say all that can be seen of an event's orders, in the order of sale."""
        return [
            (*show(order), order["cancelled"]) for order in self.orders if order["event"] == event
        ]


def name_types(event: dict[str, Any], wish: Purchase) -> tuple[Plain | None, list[str]]:
    """Find out which ticket types a purchase means, or why that cannot be said."""
    names: list[str] = []
    for position, item in enumerate(wish.items):
        name = item.ticket_type
        if name is None and len(event["types"]) > 1:
            reason = "required: this event has more than one ticket type"
            return ("invalid", "ticket_type", reason), []
        if name is None:
            [name] = event["types"]
        if name not in event["types"]:
            return ("unknown-ticket-type", wish.event, name), []
        if name in names:
            field = f"items[{position}].ticket_type"
            return ("invalid", field, "named twice in one order"), []
        names.append(name)
    return None, names


def is_after(now: Now, moment_ms: int | None) -> bool:
    return moment_ms is not None and now.wall_ms >= moment_ms


def show(order: dict[str, Any]) -> Plain:
    parts = ("id", "event", "buyer", "numbers", "amount", "sold_at_ms", "entry")
    return (list(order["items"].items()), *(order[part] for part in parts))


# --- the same of what `settle` and the ledgers say ------------------------------------------------


def plainly(outcome: Outcome) -> Plain:
    """Say an outcome of `settle` as the naive sale would."""
    if isinstance(outcome, Sold | Cancelled):
        name = "sold" if isinstance(outcome, Sold) else "cancelled"
        return (name, *show_order(outcome.order), outcome.replayed)
    if isinstance(outcome, Stored):
        return ("stored", outcome.event.id, outcome.created)
    return tuple(msgspec.to_builtins(outcome))


def show_order(order: Order) -> Plain:
    items = [(item.ticket_type, item.quantity) for item in order.items]
    numbers = list(order.numbers())
    parts = (order.amount, order.sold_at_ms, order.entry)
    return (items, order.id, order.event, order.buyer, numbers, *parts)


def show_event(event: Event) -> Plain:
    return (
        [(t.id, t.capacity, t.sold, t.held, t.amount) for t in event.ticket_types],
        *(event.name, event.opens_at_ms, event.closes_at_ms),
        *(event.max_per_order, event.max_per_buyer, event.switch),
        event.next_number,
        event.entries,
    )
