"""JSON to commands, outcomes to answers: what the contract says of requests and statuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import gevent
import msgspec
from flask import Request
from gunicorn.http.body import Body
from gunicorn.http.errors import ParseException
from msgspec import UNSET, Meta, Struct, UnsetType

from service.answers import NOT_STORED, Answer, answer
from service.inbound import BODY
from service.keys import quote_key
from service.problems import RETRY_AFTER_SECONDS, Problem
from service.views import Pending, to_rfc3339, view_order
from workers import domain
from workers.codec import GARBAGE
from workers.phrases import in_words

BODY_MAX_BYTES = 64 * 1024
BODY_SECONDS = 10.0  # a connection is not held for a body that never comes
DEFAULT_TICKET_TYPE = "general"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ID_PATTERN, ID_IN_WORDS = r"\A[a-z0-9_-]{1,64}\Z", "1 to 64 of a-z 0-9 - _"
# Nor what turns a line around: a name is shown in terminals, tables and tickets of other people.
TEXT_PATTERN = r"\A[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]*\Z"
CURRENCY_PATTERN = r"\A[A-Z]{3}\Z"

Id = Annotated[str, Meta(pattern=ID_PATTERN)]
Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=TEXT_PATTERN)]
Buyer = Annotated[str, Meta(min_length=1, max_length=254, pattern=TEXT_PATTERN)]
Quantity = Annotated[int, Meta(ge=1, le=domain.MAX_TICKETS_PER_ORDER)]
Capacity = Annotated[int, Meta(ge=0, le=domain.MAX_CAPACITY)]
Amount = Annotated[int, Meta(ge=0, le=domain.MAX_AMOUNT)]
Currency = Annotated[str, Meta(pattern=CURRENCY_PATTERN)]
Moment = Annotated[datetime, Meta(tz=True)]

T = TypeVar("T")

# What a pattern means, for people.
_IN_WORDS = {
    f"Expected `str` matching regex {pattern!r}": words
    for pattern, words in {
        ID_PATTERN: ID_IN_WORDS,
        TEXT_PATTERN: "no control characters, and none that change the direction of writing",
        CURRENCY_PATTERN: "three capital letters, as in ISO 4217",
    }.items()
}


# --- requests -------------------------------------------------------------------------------------


class ItemBody(Struct, forbid_unknown_fields=True):
    """So many tickets of one type."""

    ticket_type: Id
    quantity: Quantity


class BuyBody(Struct, forbid_unknown_fields=True):
    """`quantity` (and `ticket_type`) is short for one item."""

    event: Id
    quantity: Quantity | UnsetType = UNSET
    ticket_type: Id | UnsetType = UNSET
    items: Annotated[list[ItemBody], Meta(min_length=1, max_length=domain.MAX_ITEMS_PER_ORDER)] | (
        UnsetType
    ) = UNSET
    buyer: Buyer | None = None


class MoneyBody(Struct, forbid_unknown_fields=True):
    """An amount in minor units and an ISO 4217 code."""

    amount: Amount
    currency: Currency


class TicketTypeBody(Struct, forbid_unknown_fields=True):
    """A ticket type; without a price it is free."""

    id: Id
    capacity: Capacity
    price: MoneyBody | None = None


class EventBody(Struct, forbid_unknown_fields=True):
    """`capacity` alone is short for one ticket type, `general`."""

    name: Text | None = None
    capacity: Capacity | UnsetType = UNSET
    ticket_types: (
        Annotated[list[TicketTypeBody], Meta(min_length=1, max_length=domain.MAX_TICKET_TYPES)]
        | UnsetType
    ) = UNSET
    opens_at: Moment | None = None
    closes_at: Moment | None = None
    max_per_order: Quantity | None = None
    max_per_buyer: Annotated[int, Meta(ge=1, le=domain.MAX_CAPACITY)] | None = None


_read_buy = msgspec.json.Decoder(BuyBody).decode
_read_event = msgspec.json.Decoder(EventBody).decode


def read_purchase(request: Request, order_id: str, deadline_ms: int) -> domain.Purchase:
    """Read `POST /buy`. Raises Problem (400, 415, 422)."""
    body = _read(request, _read_buy)
    if body.items is not UNSET:
        if body.quantity is not UNSET or body.ticket_type is not UNSET:
            raise invalid("items", "not together with quantity or ticket_type")
        items = [domain.Item(item.ticket_type, item.quantity) for item in body.items]
    elif body.quantity is not UNSET:
        items = [domain.Item(body.ticket_type or None, body.quantity)]
    else:
        raise invalid("quantity", "required, unless items are given")
    return domain.Purchase(
        deadline_ms=deadline_ms,
        id=order_id,
        fingerprint=domain.fingerprint(body.event, items, body.buyer),
        event=body.event,
        items=items,
        buyer=body.buyer,
    )


def read_event(request: Request, event_id: str, deadline_ms: int) -> domain.PutEvent:
    """Read `PUT /events/{id}`. Raises Problem (400, 415, 422)."""
    if not re.fullmatch(ID_PATTERN, event_id):
        raise invalid("id", ID_IN_WORDS)
    if event_id == "stream":
        raise invalid("id", "not `stream`: /remaining/stream is not an event's address")
    body = _read(request, _read_event)
    if body.capacity is UNSET and body.ticket_types is UNSET:
        raise invalid("", "capacity or ticket_types: required")
    if body.capacity is not UNSET and body.ticket_types is not UNSET:
        raise invalid("ticket_types", "not together with capacity")
    wanted = body.ticket_types or []
    if body.capacity is not UNSET:
        wanted = [TicketTypeBody(DEFAULT_TICKET_TYPE, body.capacity)]
    if len({t.id for t in wanted}) < len(wanted):
        raise invalid("ticket_types", "two have the same id")
    if len({t.price.currency for t in wanted if t.price}) > 1:
        raise invalid("ticket_types", "all prices of an event are in one currency")
    if body.opens_at and body.closes_at and body.closes_at <= body.opens_at:
        raise invalid("closes_at", "not after opens_at")
    currency = next((t.price.currency for t in wanted if t.price), domain.NO_CURRENCY)
    return domain.PutEvent(
        deadline_ms=deadline_ms,
        event=event_id,
        name=body.name or event_id,
        ticket_types=[
            domain.TicketType(t.id, t.capacity, t.price.amount if t.price else 0, currency)
            for t in wanted
        ],
        opens_at_ms=_to_ms(body.opens_at, "opens_at"),
        closes_at_ms=_to_ms(body.closes_at, "closes_at"),
        max_per_order=body.max_per_order,
        max_per_buyer=body.max_per_buyer,
    )


def _to_ms(moment: datetime | None, field: str) -> int | None:
    if moment is None:
        return None
    try:
        return (moment.astimezone(UTC) - EPOCH) // timedelta(milliseconds=1)
    except OverflowError:
        raise invalid(field, "not within the years 1 to 9999 of UTC") from None


def _read(request: Request, decode: Callable[[bytes], T]) -> T:
    declared = request.environ.get("CONTENT_TYPE")  # the usual spelling needs no parsing
    if declared != "application/json" and request.mimetype != "application/json":
        raise Problem("unsupported-media-type", "Send Content-Type: application/json.")
    body: bytes | None = request.environ.get(BODY)
    if body is None:
        body = _await_body(request)
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        _check_json(body)
        reason, _, place = str(error).partition(" - at `")
        reason = _IN_WORDS.get(reason, reason)
        unknown = re.search(r"(?:unknown|required) field `(.*)`", reason)
        path = [place.rstrip("`").removeprefix("$").lstrip("."), unknown[1] if unknown else ""]
        raise invalid(".".join(part for part in path if part), in_words(reason)) from None
    except GARBAGE as error:
        raise _malformed(error) from None


def _check_json(body: bytes) -> None:
    """See to it that a body is JSON to its end: the first wrong value ends the reading before."""
    try:
        msgspec.json.decode(body)
    except msgspec.ValidationError:  # a number that is too large is JSON all the same
        pass
    except GARBAGE as error:
        raise _malformed(error) from None


def _malformed(error: Exception) -> Problem:
    return Problem("malformed-request", f"The body is not JSON: {error}")


def _await_body(request: Request) -> bytes:
    """Read a body that was not there with its head. Raises Problem (400, 408, 413)."""
    try:
        with gevent.Timeout(BODY_SECONDS):
            return _read_body(request)
    except gevent.Timeout:
        _give_up(request.environ["wsgi.input"])
        raise Problem("request-timeout", f"No whole body within {BODY_SECONDS:g} s.") from None
    except (OSError, ParseException) as error:  # who hangs up, and chunks that are none
        raise Problem("malformed-request", "The body cannot be read to its end.") from error


def _give_up(body: Any) -> None:
    """Have the connection closed: what comes late is the rest of this body, and no request.

    gunicorn sees to that itself after an Exception, which a Timeout is not.
    """
    if isinstance(body, Body):
        body.failed = True


def _read_body(request: Request) -> bytes:
    """Read the body; with a plain length, straight from the server, which checked that length."""
    length = request.environ.get("CONTENT_LENGTH", "")
    if length.isdigit() and len(length) <= 5 and int(length) <= BODY_MAX_BYTES:
        body: bytes = request.environ["wsgi.input"].read(int(length))
        if len(body) < int(length):
            raise Problem("malformed-request", "The body is shorter than its Content-Length.")
        return body
    body = request.get_data(cache=False)  # raises 413 for a length that is too large
    if len(body) == BODY_MAX_BYTES and request.environ["wsgi.input"].read(1):
        raise Problem("too-large", "The body is larger than 64 KiB.")  # chunks are cut in silence
    return body


def invalid(field: str, reason: str) -> Problem:
    """Return the problem of a body that breaks a rule; `field` is "" for the body as a whole."""
    where = f"{field}: {reason}" if field else reason
    return Problem("invalid-request", where, errors=[{"field": field, "reason": reason}])


# --- answers -------------------------------------------------------------------------------------


def answer_sold(sold: domain.Sold) -> Answer:
    """Return 201: the order, and where it can be found."""
    location = ("Location", f"/orders/{sold.order.id}")
    if sold.replayed:
        return answer(
            view_order(sold.order), 201, location, NOT_STORED, ("Idempotent-Replayed", "true")
        )
    return answer(view_order(sold.order), 201, location, NOT_STORED)


def answer_pending(order_id: str, expires_at_ms: int, key: str) -> Answer:
    """Return 202: handed over, not settled yet. The key lets a client without one ask again."""
    return answer(
        Pending(order_id, "pending", to_rfc3339(expires_at_ms)),
        202,
        ("Location", f"/orders/{order_id}"),
        ("Retry-After", str(RETRY_AFTER_SECONDS)),
        ("Idempotency-Key", quote_key(key)),
        NOT_STORED,
    )


def to_problem(outcome: domain.Outcome) -> Problem:
    """Return the problem document of a refusal or a fault. Raises KeyError for what is neither."""
    return _PROBLEMS[type(outcome)](outcome)


_PROBLEMS: dict[type, Callable[[Any], Problem]] = {
    domain.TooLate: lambda _: Problem(
        "unavailable", "It could not be settled before its deadline. Nothing was sold."
    ),
    domain.Unsettled: lambda _: Problem(
        "unavailable", "It is not known to be settled. The same key is safe to send again."
    ),
    domain.Unreached: lambda _: Problem(
        "unavailable", "No worker could be reached. The same key is safe to send again."
    ),
    domain.UnknownEvent: lambda o: Problem("unknown-event", f"There is no event {o.event}."),
    domain.UnknownTicketType: lambda o: Problem(
        "unknown-ticket-type", f"{o.event} has no ticket type {o.ticket_type}."
    ),
    domain.UnknownOrder: lambda _: Problem("not-settled", "No order has this id."),
    domain.KeyReused: lambda _: Problem(
        "key-reused", "This Idempotency-Key already names a purchase with another body."
    ),
    domain.Invalid: lambda o: invalid(o.field, o.reason),
    domain.NotOnSale: lambda o: Problem(
        "not-on-sale",
        f"The event is {o.status}.",
        status=o.status,
        opens_at=None if o.opens_at_ms is None else to_rfc3339(o.opens_at_ms),
    ),
    domain.BuyerLimit: lambda o: Problem(
        "buyer-limit",
        f"A buyer may have {o.max_per_buyer}; this one has {o.bought}.",
        max_per_buyer=o.max_per_buyer,
        bought=o.bought,
    ),
    domain.SoldOut: lambda o: Problem(
        "sold-out",
        f"{o.remaining} of {o.ticket_type} remain.",
        ticket_type=o.ticket_type,
        remaining=o.remaining,
        held=o.held,
    ),
    domain.CapacityCommitted: lambda o: Problem(
        "capacity-committed",
        f"{o.committed} of {o.ticket_type} are sold or held; nothing was changed.",
        ticket_type=o.ticket_type,
        committed=o.committed,
    ),
}
