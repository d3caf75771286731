"""What `event put` makes of an event that is there: what is named changes, all else stays.

The HTTP PUT says all of an event. So the command reads it, merges what was typed, and puts it all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from service.cli.options import NONE

if TYPE_CHECKING:
    from service.client import Event, EventMembers, TicketType

DEFAULT_CURRENCY = "EUR"
NO_CURRENCY = "XXX"  # ISO 4217: of what is free
ONLY_TYPE = "general"


def merge(event: str, found: Event | None, typed: dict[str, Any]) -> EventMembers:
    """Return all members of an event, as it is to be. Raises UsageError."""
    members: dict[str, Any] = {}
    names = ("name", "opens_at", "closes_at", "max_per_order", "max_per_buyer")
    for name in names:
        value = getattr(found, name, None) if typed[name] is None else typed[name]
        members[name] = None if value == NONE and name != "name" else value
    if members["name"] is None:
        del members["name"]
    members["ticket_types"] = _merge_types(event, found, typed)
    return members  # type: ignore[return-value]  # a TypedDict, member by member


def _merge_types(event: str, found: Event | None, typed: dict[str, Any]) -> list[TicketType]:
    types = {t.id: _as_it_is(t) for t in found.ticket_types} if found else {}
    asked = typed["ticket_types"]
    if typed["capacity"] is not None:
        if len(types) > 1:
            named = f"--ticket-type {next(iter(types))}:{typed['capacity']}"
            raise click.UsageError(f"{event} has several ticket types: say which, as in {named}")
        only = next(iter(types), ONLY_TYPE)
        asked = [{"id": only, "capacity": typed["capacity"], "amount": None, "currency": None}]
    elif not types and not asked:
        raise click.UsageError(
            f"there is no event {event} yet: say what it sells, with --capacity or --ticket-type"
        )
    prices = [t.price for t in types.values() if t.price]
    currency = prices[0].currency if prices else DEFAULT_CURRENCY
    for one in asked:
        if one["capacity"] is None:  # `none`
            if types.pop(one["id"], None) is None:
                raise click.UsageError(f"{event} has no ticket type {one['id']} to take away")
        else:
            types[one["id"]] = _merge_type(types.get(one["id"]), one, currency)
    if not types:
        raise click.UsageError(f"{event} must keep a ticket type; `event close` stops its sale")
    return list(types.values())


def _as_it_is(known: TicketType) -> TicketType:
    """Return a ticket type as it can be put: what is free has a price in no currency."""
    from service.client import TicketType  # noqa: PLC0415 - serve must not wait for it

    free = known.price is not None and known.price.currency == NO_CURRENCY
    return TicketType(known.id, known.capacity) if free else known


def _merge_type(known: TicketType | None, asked: dict[str, Any], currency: str) -> TicketType:
    from service.client import Money, TicketType  # noqa: PLC0415 - serve must not wait for it

    price = known.price if known else None
    if asked["amount"] is not None:
        price = Money(int(asked["amount"]), asked["currency"] or currency)
    return TicketType(asked["id"], int(asked["capacity"]), price)
