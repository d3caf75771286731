"""An order as the crowd hears it and as the ledger lists it, brought to the one form they share."""

from __future__ import annotations

import zlib
from typing import Final

import msgspec
from msgspec import Raw, Struct

from loadtest.history.operations import Sold, quantities

TICKET_TYPE: Final = "general"
_CANCELLED, _SOLD = b'"status":"cancelled"', b'"status":"sold"'


class _Ticket(Struct):
    number: int


class _Item(Struct):
    ticket_type: str
    quantity: int


class _Order(Struct):
    id: str
    status: str
    items: list[_Item]
    tickets: list[_Ticket]


class _Page(Struct):
    orders: list[Raw]


_read_order = msgspec.json.Decoder(_Order).decode
_read_page = msgspec.json.Decoder(_Page).decode


def read_order(body: bytes) -> tuple[Sold, bool]:
    """Return an order, and whether it is cancelled. All that never changes is in its digest."""
    order = _read_order(body)
    cancelled = order.status == "cancelled"
    if cancelled:
        body = body.replace(_CANCELLED, _SOLD, 1)
    wanted = quantities({item.ticket_type: item.quantity for item in order.items})
    numbers = tuple(ticket.number for ticket in order.tickets)
    return Sold(order.id, wanted, numbers, zlib.crc32(body)), cancelled


def read_page(body: bytes) -> list[tuple[Sold, bool]]:
    """Return the orders of a page of the ledger."""
    return [read_order(bytes(raw)) for raw in _read_page(body).orders]
