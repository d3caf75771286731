"""Buying: `POST /buy`, and `GET /orders/{id}` for who knows an order's id."""

from __future__ import annotations

import logging

from flask import Blueprint, Request, request

from service import wire
from service.answers import NOT_STORED, Answer, answer
from service.desk import Desk
from service.keys import order_id, quote_key, read_key, read_order_id
from service.measures import ASKED, Asked, Measures
from service.preferences import read_preferences
from service.problems import SAID_AGAIN_MS, Problem, slug_of
from service.uuid7 import mint_key
from service.views import view_order
from workers.complaints import Complaints
from workers.domain import Sold
from workers.errors import NoLedger, Overloaded, Unavailable
from workers.ledgers import LedgerReader
from workers.settings import Timing

log = logging.getLogger(__name__)

NOT_NOW = "It cannot be sold just now. The same key is safe to send again."
TIMING = "HTTP_X_SERVER_TIMING"  # who sends this header, whatever it says, wants `Server-Timing`


def blueprint(
    desk: Desk, reader: LedgerReader, shown: LedgerReader, measures: Measures, timing: Timing
) -> Blueprint:
    """Return the routes of buyers; `shown` counts what they look at."""
    routes = Blueprint("purchases", __name__)
    complaints = Complaints(log, SAID_AGAIN_MS)

    @routes.post("/buy")
    def buy() -> Answer:
        this = request._get_current_object()  # type: ignore[attr-defined]  # the proxy costs at each use
        asked = this.environ[ASKED] = Asked()
        try:
            return sell(this, asked)
        except Exception as error:
            asked.outcome = slug_of(error)
            raise
        finally:
            measures.purchase(asked)

    def sell(this: Request, asked: Asked) -> Answer:
        header = this.environ.get("HTTP_IDEMPOTENCY_KEY")
        key = mint_key() if header is None else read_key(header)
        prefer = read_preferences(this.environ.get("HTTP_PREFER"), desk.wait_max_seconds)
        try:
            asked.purchase = purchase = wire.read_purchase(
                this, order_id(reader.secret, key), desk.deadline_ms()
            )
            asked.receipt = receipt = desk.hand_over(purchase, prefer.wait_seconds)
        except NoLedger:
            raise
        except Overloaded as fault:
            raise Problem("overloaded", str(fault), {"Idempotency-Key": quote_key(key)}) from None
        except Unavailable as fault:  # its words may name what is the operator's alone
            complaints.say("a purchase is turned away: %s", fault)
            raise Problem("unavailable", NOT_NOW, {"Idempotency-Key": quote_key(key)}) from None
        outcome = receipt.outcome
        if isinstance(outcome, Sold):
            asked.outcome = "replayed" if outcome.replayed else "sold"
            response = wire.answer_sold(outcome)
        elif outcome is None:
            asked.outcome = "pending"
            response = wire.answer_pending(purchase.id, desk.expires_at_ms(purchase), key)
        else:
            problem = wire.to_problem(outcome)
            asked.outcome = problem.slug
            if problem.slug == "unavailable":
                problem.headers["Idempotency-Key"] = quote_key(key)
            response = problem.response()
        if prefer.applied:
            response.headers["Preference-Applied"] = prefer.applied
        if timing == "always" or (timing == "asked" and TIMING in this.environ):
            response.headers["Server-Timing"] = asked.timing()
        return response

    @routes.get("/orders/<wanted>")
    def show(wanted: str) -> Answer:
        known = read_order_id(wanted)
        order = shown.order(known) if known else None
        if order is None:
            raise Problem("not-settled", "No order has this id, or not yet.")
        return answer(view_order(order), 200, NOT_STORED)

    return routes
