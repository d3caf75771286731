"""The Redis ledger's values: events and journal as JSON, orders as msgpack, ids as bytes."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import msgspec
from msgspec import Struct

from workers.domain import Entry, Event, Fact, Order, OrderItem
from workers.errors import Inconsistent

P = ParamSpec("P")
R = TypeVar("R")


class StoredEvent(Struct):
    """An event with its stock, and when it was made: events are listed in that order.

    `made`: by the clock, by the batch (its fencing token), and within the batch.
    """

    made: tuple[int, int, int]
    event: Event


class _OrderRow(Struct, array_like=True):
    """An order, without its id, which is the field's name."""

    event: str
    entry: int
    fingerprint: bytes
    buyer: str | None
    items: list[OrderItem]
    first_number: int
    amount: int
    currency: str
    sold_at_ms: int
    cancelled_entry: int | None


to_json = msgspec.json.Encoder().encode
_to_msgpack = msgspec.msgpack.Encoder().encode
read_event = msgspec.json.Decoder(StoredEvent).decode
_read_line = msgspec.json.Decoder(tuple[int, Fact]).decode
_read_order = msgspec.msgpack.Decoder(_OrderRow).decode


def reporting_damage(method: Callable[P, R]) -> Callable[P, R]:
    """Turn the decoders' errors into ours."""

    @functools.wraps(method)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except ValueError as error:  # msgspec's, uuid's: no value that we write
            raise Inconsistent(f"a value of the ledger cannot be read: {error}") from error

    return guarded


def id_text(data: bytes) -> str:
    """Return an order's id as everybody else knows it."""
    return str(uuid.UUID(bytes=data))


def write_order(order: Order) -> bytes:
    """Return an order's value."""
    return _to_msgpack(
        _OrderRow(
            order.event,
            order.entry,
            order.fingerprint,
            order.buyer,
            order.items,
            order.first_number,
            order.amount,
            order.currency,
            order.sold_at_ms,
            order.cancelled_entry,
        )
    )


def read_order(order_id: str, value: bytes) -> Order:
    """Return the order of a value."""
    row = _read_order(value)
    return Order(order_id, *(getattr(row, name) for name in _OrderRow.__struct_fields__))


def write_entry(entry: Entry) -> bytes:
    """Return the value of a journal entry; its number is its place."""
    return to_json((entry.at_ms, entry.fact))


def read_entry(event_id: str, number: int, value: bytes) -> Entry:
    """Return the journal entry of a value."""
    at_ms, fact = _read_line(value)
    return Entry(event_id, number, at_ms, fact)
