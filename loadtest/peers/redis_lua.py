"""No workers: each request calls one Lua script in Redis by itself, which decides and writes.

It has soldout's gunicorn, settings and validation, and keeps the same promises for what it sells,
which is less: one ticket type, always open. It is plain Flask; with --lean it spares itself what
soldout's own web does. Both ways of redis_lines.py to speak to Redis cost less than redis-py's own.

    python -m loadtest.peers.redis_lua --port 8003 --redis-url redis://127.0.0.1:6379/0

Ends by its process id; the Redis is somebody else's to start, with `appendfsync always`.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import uuid
from datetime import UTC, datetime
from hashlib import sha1
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import redis
from flask import Flask, Response, request
from msgspec import Meta, Struct

from loadtest.peers.redis_lines import LINES, Line
from loadtest.servers import LOOPBACK
from service.answers import NOT_STORED, answer
from service.lean import LeanFlask

SCRIPT: Final = Path(__file__).with_suffix(".lua").read_bytes()
SHA: Final = sha1(SCRIPT, usedforsecurity=False).hexdigest()
BODY_MAX_BYTES: Final = 64 * 1024
TICKET_TYPE: Final = "general"
LEAN: Final = os.environ.get("PEER_LEAN") == "1"

Quantity = Annotated[int, Meta(ge=1, le=1_000)]
Text = Annotated[str, Meta(min_length=1, max_length=254, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
Id = Annotated[str, Meta(pattern=r"\A[a-z0-9_-]{1,64}\Z")]

_KEY = re.compile(r'"?[!#-\[\]-~]{16,255}"?')  # visible ASCII, bare or quoted


class Wish(Struct, forbid_unknown_fields=True):
    """The body of a purchase."""

    event: Id
    quantity: Quantity
    buyer: Text | None = None
    ticket_type: Literal["general"] | None = None


class Order(Struct):
    """An order as it is kept, behind the number of its first ticket."""

    id: str
    event: str
    quantity: int
    buyer: str | None
    sold_at: str


class Refusal(Exception):
    """An answer other than an order."""

    def __init__(self, status: int, slug: str, title: str, **members: object) -> None:
        self.status = status
        self.body = {"type": f"/problems/{slug}", "title": title, "status": status, **members}

    def response(self, *headers: tuple[str, str]) -> Response:
        """Return the answer."""
        return respond(self.body, self.status, *headers, media_type="application/problem+json")


class Sale:
    """Sells by the script, over a line to Redis."""

    def __init__(self, ask: Line) -> None:
        self.ask = ask

    def sell(self, key: str, order_id: str, wish: Wish) -> tuple[Order, int, bool]:
        """Return the order, its first ticket's number, and whether it was sold before."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        order = Order(order_id, wish.event, wish.quantity, wish.buyer, at)
        match self._run(key, order):
            case [b"sold", first]:
                return order, first, False
            case [b"replayed", kept]:
                number, _, text = kept.partition(b" ")
                earlier = _read_order(text)
                if terms(earlier) != terms(wish):
                    raise Refusal(422, "key-reused", "Key used for another purchase")
                return earlier, int(number), True
            case [b"sold-out", remaining]:
                raise Refusal(409, "sold-out", "Sold out", remaining=remaining)
        raise Refusal(404, "unknown-event", "Unknown event")

    def _run(self, key: str, order: Order) -> Any:
        keys = (f"order:{key}", f"event:{order.event}", f"journal:{order.event}")
        arguments = (len(keys), *keys, order.quantity, _encode(order))
        try:
            return self.ask("EVALSHA", SHA, *arguments)
        except redis.exceptions.NoScriptError:  # nothing was run
            return self.ask("EVAL", SCRIPT, *arguments)


_read_wish = msgspec.json.Decoder(Wish).decode
_read_order = msgspec.json.Decoder(Order).decode
_encode = msgspec.json.Encoder().encode


def create_app() -> Flask:
    """Return the app for gunicorn. Call it after any fork."""
    app = (LeanFlask if LEAN else Flask)(__name__, static_folder=None)
    ask = LINES[os.environ["PEER_LINE"]](os.environ["PEER_REDIS_URL"])
    sale, event = Sale(ask), os.environ["PEER_EVENT"]

    @app.post("/buy")
    def buy() -> Response:
        order_id = str(uuid.uuid4())
        key = read_key(request.headers.get("Idempotency-Key")) or order_id
        try:
            order, first, replayed = sale.sell(key, order_id, read_wish())
        except (redis.ConnectionError, redis.TimeoutError) as error:
            app.logger.error("%s", error)
            unknown = Refusal(503, "unavailable", "The same key is safe to send again")
            return unknown.response(("Retry-After", "1"), ("Idempotency-Key", f'"{key}"'))
        headers = (NOT_STORED, ("Idempotent-Replayed", "true")) if replayed else (NOT_STORED,)
        return respond(view(order, first), 201, *headers)

    @app.get("/remaining")
    def remaining() -> Response:
        as_of = datetime.now(UTC).isoformat(timespec="milliseconds")
        total, sold = map(int, ask("HMGET", f"event:{event}", "capacity", "sold"))
        count = {"capacity": total, "sold": sold, "held": 0, "remaining": total - sold}
        kinds = [{"ticket_type": TICKET_TYPE, **count}]
        return respond(
            {"as_of": as_of, "events": [{"event": event, **count, "ticket_types": kinds}]}
        )

    @app.errorhandler(Refusal)
    def refuse(refusal: Refusal) -> Response:
        return refusal.response()

    return app


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
    """Show an order as soldout does, as far as this program knows of one."""
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


def main() -> None:
    """Put the event on sale, unless it is already, and become gunicorn with soldout's settings."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.peers.redis_lua")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis-url", required=True)
    parser.add_argument("--event", default="gala")
    parser.add_argument("--capacity", type=int, default=100)
    parser.add_argument("--web-processes", type=int, default=2)
    parser.add_argument("--line", choices=LINES, default="pool")
    parser.add_argument("--lean", action="store_true")
    options = parser.parse_args()
    with redis.Redis.from_url(options.redis_url) as client:
        client.script_load(SCRIPT)
        client.hsetnx(f"event:{options.event}", "sold", "0")
        client.hsetnx(f"event:{options.event}", "capacity", str(options.capacity))
    variables = {
        "PEER_REDIS_URL": options.redis_url,
        "PEER_EVENT": options.event,
        "PEER_LINE": options.line,
        "PEER_LEAN": str(int(options.lean)),
        "SOLDOUT_BIND": f"{LOOPBACK}:{options.port}",
        "SOLDOUT_WEB_PROCESSES": str(options.web_processes),
    }
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:service.gunicorn_conf"]
    app = "loadtest.peers.redis_lua:create_app()"
    os.execve(sys.executable, [*gunicorn, app], os.environ | variables)  # noqa: S606 - our own


if __name__ == "__main__":
    main()
