"""Every route, as the contract has it. A new route is one more `Operation`; a test demands it."""

from __future__ import annotations

from typing import Any, Final

from service import wire
from service.live import Remaining
from service.openapi import examples
from service.openapi.administration import ADMINISTRATION
from service.openapi.faults import (
    ANY,
    FOR_ADMINS,
    HANDS_OVER,
    IN_A_PATH,
    READS,
    RETRY_AFTER,
    WITH_A_BODY,
)
from service.openapi.parts import (
    APPLIED,
    EVENT_ID,
    IDEMPOTENCY_KEY,
    KEY_GIVEN,
    NOT_STORED,
    ORDER_ID,
    ORDER_LOCATION,
    PREFER,
    REPLAYED,
    TO_THE_ORDER,
    in_html,
    says,
)
from service.openapi.words import (
    Body,
    Content,
    Operation,
    Parameter,
    Shape,
    Success,
)
from service.views import (
    Events,
    EventStock,
    EventView,
    Health,
    OrderView,
    Pending,
)
from workers.domain import MAX_TICKETS_PER_ORDER
from workers.exposition import MEDIA_TYPE as METRICS_MEDIA_TYPE

TAGS: Final = {
    "buying": "For buyers. The idempotency key names the purchase: whoever repeats it, in doubt of "
    "an answer, buys once.",
    "looking": "What is on sale, and how much of it is left.",
    "administration": "For whoever has a key of the administration.",
    "running": "For whoever runs the service, and whoever writes a client of it.",
}

BUYING: Final = (
    Operation(
        method="post",
        path="/buy",
        id="buy",
        tag="buying",
        summary="Buy tickets",
        description="All or nothing. Refusals are not remembered: the same key may be sent again "
        "and may then sell.",
        parameters=(IDEMPOTENCY_KEY, PREFER),
        body=Body(
            wire.BuyBody,
            {"one type": examples.BUY_ONE_TYPE, "several types": examples.BUY_SEVERAL},
            (
                Shape(
                    "BuyOneType",
                    "Tickets of one type; without `ticket_type` the event must have exactly one.",
                    ("event", "quantity"),
                    ("items",),
                ),
                Shape(
                    "BuySeveralTypes",
                    f"Tickets of several types, none named twice; {MAX_TICKETS_PER_ORDER} in all.",
                    ("event", "items"),
                    ("quantity", "ticket_type"),
                ),
            ),
        ),
        answers={
            201: says(
                OrderView,
                examples.ORDER,
                "Sold, and on disk.",
                ORDER_LOCATION,
                NOT_STORED,
                sometimes=(REPLAYED, APPLIED),
                links=TO_THE_ORDER,
            ),
            202: says(
                Pending,
                examples.PENDING,
                "Not settled yet: it was asked for, or the wait ran out.",
                ORDER_LOCATION,
                RETRY_AFTER,
                KEY_GIVEN,
                NOT_STORED,
                sometimes=(APPLIED,),
                links=TO_THE_ORDER,
            ),
        },
        problems=(
            *(*ANY, *WITH_A_BODY, "unknown-event", "unknown-ticket-type", "buyer-limit"),
            *("sold-out", "not-on-sale", "key-reused", *HANDS_OVER),
        ),
        headers={503: (KEY_GIVEN,)},
        sometimes=dict.fromkeys((403, 404, 409, 422, 503), (APPLIED,)),
    ),
    Operation(
        method="get",
        path="/orders/{order_id}",
        id="getOrder",
        tag="buying",
        summary="Read an order",
        parameters=(ORDER_ID,),
        answers={200: says(OrderView, examples.ORDER, "The order.", NOT_STORED)},
        problems=(*ANY, *IN_A_PATH, "not-settled", *READS),
    ),
)

LOOKING: Final = (
    Operation(
        method="get",
        path="/remaining",
        id="getRemaining",
        tag="looking",
        summary="How much is left of everything",
        description="At most 250 ms old, and never older than a purchase's answer by the same web "
        "process or, on one host, by any.",
        answers={200: says(Remaining, examples.REMAINING, "The stock of all events.", NOT_STORED)},
        problems=(*ANY, *READS),
    ),
    Operation(
        method="get",
        path="/remaining/{event_id}",
        id="getRemainingOfEvent",
        tag="looking",
        summary="How much is left of one event",
        parameters=(EVENT_ID,),
        answers={200: says(EventStock, examples.STOCK, "The stock of the event.", NOT_STORED)},
        problems=(*ANY, *IN_A_PATH, "unknown-event", *READS),
    ),
    Operation(
        method="get",
        path="/remaining/stream",
        id="streamRemaining",
        tag="looking",
        summary="How much is left, as it is sold",
        description="Server-sent events, which never end: `remaining` with the entry of an event "
        "whenever it changed, at most four times a second for each. When its `terms` are others "
        "than those of the event that you show, read the event again.",
        parameters=(
            Parameter("event", "query", str, "Only this event.", "gala"),
            Parameter(
                "Last-Event-ID", "header", str, "The last id that was seen.", "4f6c1d2e9a0b7385"
            ),
        ),
        answers={
            200: Success(
                "The stream.",
                (Content(str, {}, "text/event-stream; charset=utf-8"),),
                (NOT_STORED,),
            )
        },
        problems=(*ANY, "unknown-event", "overloaded", *READS),
    ),
    Operation(
        method="get",
        path="/events",
        id="listEvents",
        tag="looking",
        summary="What is on sale",
        answers={200: says(Events, examples.EVENTS, "All events.")},
        problems=(*ANY, *READS),
    ),
    Operation(
        method="get",
        path="/events/{event_id}",
        id="getEvent",
        tag="looking",
        summary="One event",
        parameters=(EVENT_ID,),
        answers={200: says(EventView, examples.EVENT, "The event.")},
        problems=(*ANY, *IN_A_PATH, "unknown-event", *READS),
    ),
)


RUNNING: Final = (
    Operation(
        method="get",
        path="/",
        id="getLivePage",
        tag="running",
        summary="The sale as a page for people, live",
        answers={200: in_html("The page.")},
        problems=(*ANY, *READS),
    ),
    Operation(
        method="get",
        path="/admin",
        id="getBoxOffice",
        tag="running",
        summary="The box office, as a page for who runs a sale",
        description="The same for everybody: what it shows, its script asks for with the key.",
        answers={200: in_html("The page.")},
        problems=ANY,
    ),
    Operation(
        method="get",
        path="/metrics",
        id="getMetrics",
        tag="running",
        summary="What this host counts, for Prometheus",
        description="Open, for the administration only, or not there: as `SOLDOUT_METRICS` says.",
        answers={
            200: Success(
                "Prometheus' text format.", (Content(str, {}, METRICS_MEDIA_TYPE),), (NOT_STORED,)
            )
        },
        problems=(*ANY, *FOR_ADMINS, "not-found"),
    ),
    Operation(
        method="get",
        path="/healthz",
        id="getHealth",
        tag="running",
        summary="Whether this process lives",
        answers={200: says(Health, examples.ALIVE, "It does.")},
        problems=ANY,
    ),
    Operation(
        method="get",
        path="/readyz",
        id="getReadiness",
        tag="running",
        summary="Whether purchases can be made",
        description="A worker of every shard answers, and the ledger takes a write.",
        answers={200: says(Health, examples.READY, "They can.")},
        problems=(*ANY, *READS),
    ),
    Operation(
        method="get",
        path="/openapi.json",
        id="getOpenapi",
        tag="running",
        summary="This document",
        answers={200: Success("OpenAPI 3.1.", (Content(dict[str, Any], {}),))},
        problems=ANY,
    ),
    Operation(
        method="get",
        path="/docs",
        id="getDocs",
        tag="running",
        summary="This document, as a page for people",
        answers={200: in_html("The page.")},
        problems=ANY,
    ),
    Operation(
        method="get",
        path="/problems/",
        id="listProblems",
        tag="running",
        summary="All kinds of problems, as a page for people",
        answers={200: in_html("The page.")},
        problems=ANY,
    ),
    Operation(
        method="get",
        path="/problems/{slug}",
        id="getProblem",
        tag="running",
        summary="What a problem means and what to do, as a page for people",
        parameters=(Parameter("slug", "path", str, "The end of a problem's `type`.", "sold-out"),),
        answers={200: in_html("The page.")},
        problems=(*ANY, *IN_A_PATH),
    ),
)

OPERATIONS: Final = (*BUYING, *LOOKING, *ADMINISTRATION, *RUNNING)
