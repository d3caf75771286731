"""The operations of the administration, as the contract has them."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from service import admin, curves, office, wire
from service.curves import Curve
from service.now import Now
from service.openapi import examples
from service.openapi.faults import (
    ANY,
    FOR_ADMINS,
    HANDS_OVER,
    IN_A_PATH,
    READS,
    WITH_A_BODY,
)
from service.openapi.parts import (
    ATTACHMENT,
    EVENT_ID,
    EVENT_LOCATION,
    KEY,
    LIMIT,
    NEXT_PAGE,
    NOT_STORED,
    ORDER_ID,
    POINTS,
    TO_THE_EVENT,
    WHOLE,
    says,
)
from service.openapi.words import (
    CSV,
    Body,
    Content,
    Operation,
    Parameter,
    Shape,
    Success,
)
from service.views import (
    EventView,
    Orders,
    OrderView,
    Workers,
)
from workers.audit import Audit


def _switch(verb: str, summary: str, description: str, status: str) -> Operation:
    example = replace(examples.EVENT, status=status)
    return Operation(
        method="post",
        path=f"/events/{{event_id}}/{verb}",
        id=f"{verb}Event",
        tag="administration",
        summary=summary,
        description=description,
        parameters=(EVENT_ID,),
        answers={200: says(EventView, example, "The event as it is now.")},
        problems=(
            *(*ANY, *FOR_ADMINS, *IN_A_PATH, "unknown-event"),
            *(("not-on-sale",) if verb == "pause" else ()),
            *HANDS_OVER,
        ),
        admin=True,
    )


ADMINISTRATION: Final = (
    Operation(
        method="put",
        path="/events/{event_id}",
        id="putEvent",
        tag="administration",
        summary="Create an event, or change it",
        description="Says all of the event: what is left out is unset again. All prices are in one "
        "currency, no two ticket types have the same id, and `closes_at` is after `opens_at`.",
        parameters=(EVENT_ID,),
        body=Body(
            wire.EventBody,
            {"ticket types": examples.PUT_GALA, "short": examples.PUT_RECITAL},
            (
                Shape(
                    "PutCapacity",
                    "Short for one free ticket type, `general`.",
                    ("capacity",),
                    ("ticket_types",),
                ),
                Shape(
                    "PutTicketTypes",
                    "Ticket types with their capacities and prices.",
                    ("ticket_types",),
                    ("capacity",),
                ),
            ),
        ),
        answers={
            201: says(EventView, examples.EVENT, "Created.", EVENT_LOCATION, links=TO_THE_EVENT),
            200: says(EventView, examples.EVENT, "Changed.", EVENT_LOCATION, links=TO_THE_EVENT),
        },
        problems=(
            *(*ANY, *FOR_ADMINS, *IN_A_PATH, *WITH_A_BODY, "capacity-committed", *HANDS_OVER),
        ),
        admin=True,
    ),
    _switch("pause", "Stop selling for a while", "A closed event cannot be paused.", "paused"),
    _switch("resume", "Sell again", "Takes back a pause and a close.", "on_sale"),
    _switch("close", "Stop selling", "`resume` takes it back.", "closed"),
    Operation(
        method="get",
        path="/events/{event_id}/orders",
        id="listOrders",
        tag="administration",
        summary="An event's orders, in the order of sale",
        description="As pages, which end early when their orders have many tickets: follow `Link`. "
        "With `Accept: text/csv` all of them at once, a line a ticket.",
        parameters=(
            EVENT_ID,
            Parameter("after", "query", WHOLE, "Where the page before ended; see `Link`.", 0),
            Parameter("limit", "query", LIMIT, f"Orders a page, cut to {admin.PAGE_MAX}.", 50),
        ),
        answers={
            200: Success(
                "A page of orders, or all of them.",
                (
                    Content(Orders, {"example": examples.ORDERS}),
                    Content(str, {"example": examples.ORDERS_CSV}, CSV),
                ),
                (NOT_STORED,),
                (NEXT_PAGE, ATTACHMENT),
            )
        },
        problems=(*(*ANY, *FOR_ADMINS, *IN_A_PATH, "unknown-event", "invalid-request", *READS),),
        admin=True,
    ),
    Operation(
        method="get",
        path="/events/{event_id}/audit",
        id="auditEvent",
        tag="administration",
        summary="Replay an event's journal and compare it with all else",
        parameters=(EVENT_ID,),
        answers={200: says(Audit, examples.AUDIT, "What was found.", NOT_STORED)},
        problems=(*ANY, *FOR_ADMINS, *IN_A_PATH, "unknown-event", *READS),
        admin=True,
    ),
    Operation(
        method="get",
        path="/orders",
        id="findOrder",
        tag="administration",
        summary="Find an order by its idempotency key",
        parameters=(
            Parameter("key", "query", KEY, "The purchase's key.", examples.KEY, required=True),
        ),
        answers={200: says(OrderView, examples.ORDER, "The order.", NOT_STORED)},
        problems=(*(*ANY, *FOR_ADMINS, "unknown-event", "not-settled", "invalid-request", *READS),),
        admin=True,
    ),
    Operation(
        method="post",
        path="/orders/{order_id}/cancel",
        id="cancelOrder",
        tag="administration",
        summary="Take an order back",
        description="Its tickets can be sold again, under new numbers. Repeated: the same answer.",
        parameters=(ORDER_ID,),
        answers={200: says(OrderView, examples.CANCELLED, "The cancelled order.", NOT_STORED)},
        problems=(*ANY, *FOR_ADMINS, *IN_A_PATH, "not-settled", *HANDS_OVER),
        admin=True,
    ),
    Operation(
        method="get",
        path="/workers",
        id="listWorkers",
        tag="administration",
        summary="Every worker known",
        answers={200: says(Workers, examples.WORKERS, "The pool.", NOT_STORED)},
        problems=(*ANY, *FOR_ADMINS, *READS),
        admin=True,
    ),
    Operation(
        method="get",
        path="/events/{event_id}/curve",
        id="drawCurve",
        tag="administration",
        summary="An event's sale over time",
        description="Points of the journal, evenly by tickets, the first and the last sale "
        "among them; of all hosts, and there after a restart. Cancelled tickets stay counted in "
        "`issued`. Where a clock was set back, so are its times.",
        parameters=(
            EVENT_ID,
            Parameter(
                "points",
                "query",
                POINTS,
                f"So many at most, and of each order one at most; cut to "
                f"{office.POINTS_MIN} to {curves.POINTS_MAX}.",
                200,
            ),
        ),
        answers={200: says(Curve, examples.CURVE, "The curve.", NOT_STORED)},
        problems=(*(*ANY, *FOR_ADMINS, *IN_A_PATH, "unknown-event", "invalid-request", *READS),),
        admin=True,
    ),
    Operation(
        method="get",
        path="/admin/now",
        id="getNow",
        tag="administration",
        summary="How the service stands: counters, workers, stock",
        description="Counters only grow while the service runs: a rate is the difference of two "
        "answers, divided by that of `clock_ms`. `this_host` is the host that answers, all its "
        "processes together; workers, shards and events are of all hosts. Where many hosts serve, "
        "one without workers counts no batches, locks and commits, and one without a web no "
        "purchases. If the ledger cannot be read, `ledger` says so and the rest is told all the "
        "same; it is `none` before the first event on Redis.",
        answers={200: says(Now, examples.NOW, "How it stands.", NOT_STORED)},
        problems=(*ANY, *FOR_ADMINS),
        admin=True,
    ),
)
