"""What the rivals have in common: HTTP in front, and the same contract for what they sell.

In: a `Stock`, which is all that tells one rival from another. Out: a Flask app with `POST /buy` and
`GET /remaining`, and gunicorn around it with soldout's own settings. They sell one ticket type of
events that are always open, and keep soldout's promises for it: exactly, on disk before the answer,
and once for a key.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import sys
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Protocol

import msgspec
from flask import Flask, Response, request
from msgspec import Meta, Struct

from loadtest.servers import LOOPBACK
from service.answers import NOT_STORED, answer
from service.lean import LeanFlask

BODY_MAX_BYTES: Final = 64 * 1024
TICKET_TYPE: Final = "general"
LEAN: Final = os.environ.get("PEER_LEAN") == "1"  # spare what soldout's own web spares
THREADS_FLAGS: Final = ("--worker-class", "gthread", "--threads", "32")  # for drivers that block

Quantity = Annotated[int, Meta(ge=1, le=1_000)]
TEXT_PATTERN = r"\A[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]*\Z"
Text = Annotated[str, Meta(min_length=1, max_length=254, pattern=TEXT_PATTERN)]
Id = Annotated[str, Meta(pattern=r"\A[a-z0-9_-]{1,64}\Z")]

_KEY = re.compile(r'"?[!#-\[\]-~]{16,255}"?')  # visible ASCII, bare or quoted


class Wish(Struct, forbid_unknown_fields=True):
    """The body of a purchase."""

    event: Id
    quantity: Quantity
    buyer: Text | None = None
    ticket_type: Literal["general"] | None = None


class Order(Struct):
    """An order as it is kept, beside the number of its first ticket."""

    id: str
    event: str
    quantity: int
    buyer: str | None
    sold_at: str


class Sold(Struct, tag=True):
    """What a stock says of a sale: its first ticket, and the order if it was sold before."""

    first: int
    earlier: bytes | None = None


class SoldOut(Struct, tag=True):
    """What a stock says if there are not enough."""

    remaining: int


class UnknownEvent(Struct, tag=True):
    """What a stock says of an event that it does not have."""


Reply = Sold | SoldOut | UnknownEvent
Faults = tuple[type[Exception], ...]


class Stock(Protocol):
    """Where a rival keeps what it sells. Both may raise `faults`: then all may have happened."""

    faults: Faults

    def sell(self, key: str, event: str, quantity: int, order: bytes) -> Reply:
        """Sell and keep `order` under `key`, durably, unless the key has one; or sell nothing."""

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return the capacity of each event, and how much of it is sold."""


class Refusal(Exception):
    """An answer other than an order."""

    def __init__(self, status: int, slug: str, title: str, **members: object) -> None:
        self.status = status
        self.body = {"type": f"/problems/{slug}", "title": title, "status": status, **members}

    def response(self, *headers: tuple[str, str]) -> Response:
        """Return the answer."""
        return respond(self.body, self.status, *headers, media_type="application/problem+json")


_read_wish = msgspec.json.Decoder(Wish).decode
_read_order = msgspec.json.Decoder(Order).decode
_encode = msgspec.json.Encoder().encode


def create_app(stock: Stock) -> Flask:
    """Return the app for gunicorn. Call it after any fork."""
    app = (LeanFlask if LEAN else Flask)(__name__, static_folder=None)

    @app.post("/buy")
    def buy() -> Response:
        order_id = str(uuid.uuid4())
        key = read_key(request.headers.get("Idempotency-Key")) or order_id
        try:
            return sell(stock, key, order_id, read_wish())
        except stock.faults as error:
            app.logger.error("%s", error)
            unknown = Refusal(503, "unavailable", "The same key is safe to send again")
            return unknown.response(("Retry-After", "1"), ("Idempotency-Key", f'"{key}"'))

    @app.get("/remaining")
    def remaining() -> Response:
        as_of = datetime.now(UTC).isoformat(timespec="milliseconds")
        events = [view_count(event, *count) for event, count in sorted(stock.counts().items())]
        return respond({"as_of": as_of, "events": events})

    @app.errorhandler(Refusal)
    def refuse(refusal: Refusal) -> Response:
        return refusal.response()

    return app


def sell(stock: Stock, key: str, order_id: str, wish: Wish) -> Response:
    """Sell, or find what was sold under the same key. Raises Refusal, or the stock's faults."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    order = Order(order_id, wish.event, wish.quantity, wish.buyer, at)
    match stock.sell(key, wish.event, wish.quantity, _encode(order)):
        case Sold(first, None):
            return respond(view(order, first), 201, NOT_STORED)
        case Sold(first, earlier):
            order = _read_order(earlier or b"")
            if terms(order) != terms(wish):
                raise Refusal(422, "key-reused", "Key used for another purchase")
            replayed = ("Idempotent-Replayed", "true")
            return respond(view(order, first), 201, NOT_STORED, replayed)
        case SoldOut(left):
            raise Refusal(409, "sold-out", "Sold out", remaining=left)
    raise Refusal(404, "unknown-event", "Unknown event")


def read_key(header: str | None) -> str | None:
    """Return the purchase's key, if it has one."""
    if header is None:
        return None
    if not _KEY.fullmatch(header) or header.startswith('"') != header.endswith('"'):
        raise Refusal(400, "malformed-request", "Idempotency-Key: 16 to 255 visible characters")
    return header.strip('"')


def respond(
    body: object, status: int = 200, *headers: tuple[str, str], media_type: str = "application/json"
) -> Response:
    """Return a body as JSON."""
    if LEAN:
        return answer(body, status, *headers, media_type=media_type)
    return Response(_encode(body), status, list(headers), content_type=media_type)


def read_wish() -> Wish:
    """Read the body of this request; a lean app finds a chunked one empty."""
    environ = request.environ
    media_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip() if LEAN else None
    if (media_type or request.mimetype) != "application/json":
        raise Refusal(415, "unsupported-media-type", "Send Content-Type: application/json")
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > BODY_MAX_BYTES:
        raise Refusal(413, "too-large", "Larger than 64 KiB")
    try:
        return _read_wish(environ["wsgi.input"].read(length) if LEAN else request.get_data())
    except msgspec.ValidationError as error:
        raise Refusal(422, "invalid-request", "Invalid request", detail=str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, "malformed-request", "Not JSON", detail=str(error)) from None


def terms(of: Wish | Order) -> tuple[str, int, str | None]:
    """Return what a purchase and its repetition must have in common."""
    return of.event, of.quantity, of.buyer


def view(order: Order, first: int) -> dict[str, Any]:
    """Show an order as soldout does, as far as a rival knows of one."""
    return {
        "id": order.id,
        "event": order.event,
        "status": "sold",
        "buyer": order.buyer,
        "items": [{"ticket_type": TICKET_TYPE, "quantity": order.quantity}],
        "tickets": [
            {"number": number, "ticket_type": TICKET_TYPE}
            for number in range(first, first + order.quantity)
        ],
        "sold_at": order.sold_at,
    }


def view_count(event: str, capacity: int, sold: int) -> dict[str, Any]:
    """Show how much is left of an event, as soldout does."""
    count = {"capacity": capacity, "sold": sold, "held": 0, "remaining": capacity - sold}
    return {"event": event, **count, "ticket_types": [{"ticket_type": TICKET_TYPE, **count}]}


# --- starting -------------------------------------------------------------------------------------


def arguments(module: str) -> argparse.ArgumentParser:
    """Return a parser of what every rival is told."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store-url", required=True, help="where it keeps its stock")
    parser.add_argument("--event", nargs="+", default=["gala"])
    parser.add_argument("--capacity", type=int, nargs="+", default=[100], help="of each event")
    parser.add_argument("--web-processes", type=int, default=2)
    return parser


def on_sale(options: argparse.Namespace) -> dict[str, int]:
    """Return the events to put on sale, unless they are already, with their capacities."""
    return dict(zip(options.event, itertools.cycle(options.capacity), strict=False))


def web(module: str, options: argparse.Namespace, *flags: str) -> tuple[list[str], dict[str, str]]:
    """Return the command that serves `module:create_app()`, and the environment it needs."""
    command = [
        *(sys.executable, "-m", "gunicorn", "--config", "python:service.gunicorn_conf"),
        *(*flags, f"{module}:create_app()"),
    ]
    variables = {
        "PEER_STORE_URL": options.store_url,
        "SOLDOUT_BIND": f"{LOOPBACK}:{options.port}",
        "SOLDOUT_WEB_PROCESSES": str(options.web_processes),
    }
    return command, os.environ | variables


def become_web(module: str, options: argparse.Namespace, *flags: str) -> None:
    """Become gunicorn."""
    command, environment = web(module, options, *flags)
    os.execve(sys.executable, command, environment)  # noqa: S606 - our own
