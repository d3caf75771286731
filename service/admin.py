"""The administration: events put, switched, audited; orders found, listed, cancelled; workers."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import gevent
from flask import Blueprint, Response, request

from service import wire
from service.answers import NOT_STORED, SECURITY, Answer, answer
from service.desk import Desk
from service.keys import order_id, read_key, read_order_id
from service.order_pages import read_page, write_csv
from service.problems import Problem
from service.query import read_number
from service.views import Orders, Workers, view_event, view_order, view_worker
from workers.audit import audit
from workers.domain import (
    Cancelled,
    CancelOrder,
    Command,
    Outcome,
    Stored,
    Switch,
    SwitchEvent,
)
from workers.hearts import HostPulse
from workers.ledgers import LedgerReader
from workers.settings import HASHED_KEY_PREFIX

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000
LIMIT_WANTED: Final = f"a whole number from 1; a page has {PAGE_MAX} orders at most"
SWITCHES: Final[dict[str, Switch]] = {"pause": "paused", "resume": "open", "close": "closed"}


class Keys:
    """The administration's keys as SHA-256: long and random, they need no slow hash."""

    def __init__(self, keys: list[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    def check(self, authorization: str | None) -> None:
        """Let a request pass that carries one of the keys. Raises Problem (401, 403)."""
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Problem(
                "unauthorized",
                "Send Authorization: Bearer <key>.",
                {"WWW-Authenticate": 'Bearer realm="soldout"'},
            )
        given = sha256(key.strip().encode("utf-8", "surrogateescape")).digest()
        # All are compared, so that the time taken tells nothing of which.
        if sum(hmac.compare_digest(given, digest) for digest in self._digests) == 0:
            raise Problem(
                "forbidden",
                "This is not a key of this service.",
                {"WWW-Authenticate": 'Bearer realm="soldout", error="invalid_token"'},
            )


def _digest(key: str) -> bytes:
    if key.startswith(HASHED_KEY_PREFIX):
        return bytes.fromhex(key.removeprefix(HASHED_KEY_PREFIX))
    return sha256(key.encode()).digest()


def blueprint(
    desk: Desk, reader: LedgerReader, keys: Keys, workers_known: Callable[[], list[HostPulse]]
) -> Blueprint:
    """Return the routes of the administration; every one of them asks for a key."""
    routes = Blueprint("admin", __name__)

    @routes.before_request
    def authorize() -> None:
        keys.check(request.headers.get("Authorization"))

    def settled(command: Command, wanted: type[Any]) -> Any:
        outcome = desk.settle(command)
        if isinstance(outcome, wanted):
            return outcome
        raise _to_problem(outcome)

    def existing(event_id: str) -> None:
        if reader.event(event_id) is None:
            raise Problem("unknown-event", f"There is no event {event_id}.")

    @routes.put("/events/<event_id>")
    def put_event(event_id: str) -> Answer:
        stored = settled(wire.read_event(request, event_id, desk.deadline_ms()), Stored)
        status = 201 if stored.created else 200
        return answer(view_event(stored.event), status, ("Location", f"/events/{event_id}"))

    @routes.post("/events/<event_id>/<any(pause, resume, close):action>")
    def switch_event(event_id: str, action: str) -> Answer:
        command = SwitchEvent(desk.deadline_ms(), event_id, SWITCHES[action])
        return answer(view_event(settled(command, Stored).event))

    @routes.post("/orders/<wanted>/cancel")
    def cancel_order(wanted: str) -> Answer:
        known = read_order_id(wanted)
        if known is None:
            raise Problem("not-settled", "No order has this id.")
        cancelled = settled(CancelOrder(desk.deadline_ms(), known), Cancelled)
        return answer(view_order(cancelled.order), 200, NOT_STORED)

    @routes.get("/orders")
    def find_order() -> Answer:
        if "key" not in request.args:
            raise wire.invalid("key", "required: GET /orders?key=<idempotency key>")
        order = reader.order(order_id(reader.secret, read_key(request.args["key"])))
        if order is None:
            raise Problem("not-settled", "No order was sold under this key, or not yet.")
        return answer(view_order(order), 200, NOT_STORED)

    @routes.get("/events/<event_id>/orders")
    def list_orders(event_id: str) -> Response:
        existing(event_id)
        if request.accept_mimetypes.best_match(["application/json", "text/csv"]) == "text/csv":
            file_name = f'attachment; filename="{event_id}-orders.csv"'
            return Response(
                write_csv(reader, event_id),
                content_type="text/csv; charset=utf-8",
                headers=[("Content-Disposition", file_name), NOT_STORED, *SECURITY],
            )
        after = read_number("after", 0)
        limit = min(read_number("limit", PAGE_DEFAULT, 1, LIMIT_WANTED), PAGE_MAX)
        orders, more = read_page(reader, event_id, after, limit)
        headers = [NOT_STORED]
        if more:
            following = f"/events/{event_id}/orders?after={orders[-1].entry}&limit={limit}"
            headers.append(("Link", f'<{following}>; rel="next"'))
        return answer(Orders([view_order(order) for order in orders]), 200, *headers)

    @routes.get("/events/<event_id>/audit")
    def audit_event(event_id: str) -> Answer:
        found = audit(reader, event_id, pause=lambda: gevent.sleep(0))
        if found is None:
            raise Problem("unknown-event", f"There is no event {event_id}.")
        return answer(found, 200, NOT_STORED)

    @routes.get("/workers")
    def list_workers() -> Answer:
        workers = [view_worker(known) for known in workers_known()]
        return answer(Workers(workers), 200, NOT_STORED)

    return routes


def _to_problem(outcome: Outcome | None) -> Problem:
    if outcome is None:
        return Problem("unavailable", "Not settled yet; the same request is safe to send again.")
    return wire.to_problem(outcome)
