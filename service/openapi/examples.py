"""One small sale that all examples are taken from, written by the code that writes real answers.

The tests play it: what stands here is what the service says, but for ids, codes, times, processes.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from service.curves import Curve, Point
from service.live import Remaining
from service.now import Distribution, Now, ThisHost, view_event_now
from service.views import (
    Events,
    Health,
    Orders,
    Pending,
    Worker,
    Workers,
    to_rfc3339,
    view_event,
    view_order,
    view_stock,
)
from workers import domain
from workers.audit import Audit
from workers.metrics import BATCH, LOCK_WAIT, OUTCOMES, Histogram

SOLD_AT_MS: Final = 1_795_424_400_123  # 2026-11-23T09:00:00.123Z
PREMIERE_MS: Final = 4_102_430_400_000  # 2099-12-31T20:00:00Z: it stays scheduled
ORDER_ID: Final = "01936b5e-77c8-8f3a-a3c0-1f4e5d6c7b8a"
KEY: Final = "b3f1c2de-9a40-4c6e-8f57-2d1e0a9c7b64"
BUYER: Final = "ann@example.com"

# --- what is asked ---

PUT_GALA: Final[dict[str, Any]] = {
    "name": "The gala",
    "ticket_types": [
        {"id": "standing", "capacity": 500, "price": {"amount": 2500, "currency": "EUR"}},
        {"id": "vip", "capacity": 3, "price": {"amount": 9900, "currency": "EUR"}},
    ],
    "max_per_buyer": 4,
}
PUT_RECITAL: Final[dict[str, Any]] = {"capacity": 100}
BUY_SEVERAL: Final[dict[str, Any]] = {
    "event": "gala",
    "buyer": BUYER,
    "items": [{"ticket_type": "standing", "quantity": 2}, {"ticket_type": "vip", "quantity": 1}],
}
BUY_ONE_TYPE: Final[dict[str, Any]] = {"event": "recital", "quantity": 2}

# --- what is answered ---

_GALA = domain.Event(
    "gala",
    "The gala",
    [
        domain.TicketType("standing", 500, 2500, "EUR", sold=2),
        domain.TicketType("vip", 3, 9900, "EUR", sold=1),
    ],
    max_per_buyer=4,
    entries=2,
)
_RECITAL = domain.Event("recital", "recital", [domain.TicketType("general", 100)], entries=1)
_ORDER = domain.Order(
    id=ORDER_ID,
    event="gala",
    entry=2,
    fingerprint=b"",
    buyer=BUYER,
    items=[domain.OrderItem("standing", 2), domain.OrderItem("vip", 1)],
    first_number=1,
    amount=2 * 2500 + 9900,
    currency="EUR",
    sold_at_ms=SOLD_AT_MS,
)
_NOW = to_rfc3339(SOLD_AT_MS + 250)
_GALA_STOCK = view_stock(_GALA, SOLD_AT_MS)

EVENT: Final = view_event(_GALA)
EVENTS: Final = Events([EVENT, view_event(_RECITAL)])
ORDER: Final = view_order(_ORDER)
CANCELLED: Final = view_order(replace(_ORDER, cancelled_entry=3))
ORDERS: Final = Orders([ORDER])
PENDING: Final = Pending(ORDER_ID, "pending", to_rfc3339(SOLD_AT_MS + 33_000))
STOCK: Final = view_stock(_GALA, SOLD_AT_MS)
STOCK.as_of = _NOW
REMAINING: Final = Remaining(_NOW, [_GALA_STOCK, view_stock(_RECITAL, SOLD_AT_MS)])
AUDIT: Final = Audit(
    "gala", True, entries=2, capacity=503, sold=3, remaining=500, orders=1, tickets=3
)
WORKERS: Final = Workers(
    [
        Worker(
            worker=number,
            host="box-office",
            pid=4710 + number,
            since=to_rfc3339(SOLD_AT_MS - 60_000),
            last_heartbeat=_NOW,
            phase="idle",
            batches=purchases,
            purchases=purchases,
        )
        for number, purchases in ((1, 1), (2, 0))
    ]
)
CURVE: Final = Curve(
    "gala", _NOW, capacity=503, sold=3, issued=3, points=[Point(to_rfc3339(SOLD_AT_MS), 3)]
)


def _distribution(of: Histogram, *values: float) -> Distribution:
    counts = [0] * (len(of.bounds) + 1)
    for value in values:
        counts[sum(edge < value for edge in of.edges)] += 1
    return Distribution(len(values), sum(values), of.edges, counts)


NOW: Final = Now(
    as_of=_NOW,
    clock_ms=86_400_250,
    hosts="one",
    ledger="readable",
    troubles=[],
    this_host=ThisHost(
        name="box-office",
        started_at=to_rfc3339(SOLD_AT_MS - 60_000),
        web_processes=2,
        in_flight=0,
        streams=1,
        purchases={outcome: int(outcome in ("sold", "replayed")) for outcome in OUTCOMES},
        purchase_seconds=_distribution(LOCK_WAIT, 0.0021, 0.0009),
        queue_seconds=_distribution(LOCK_WAIT, 0.0001, 0.0001),
        settle_seconds=_distribution(LOCK_WAIT, 0.0017, 0.0006),
        lock_wait_seconds=_distribution(LOCK_WAIT, 0.0, 0.0),
        lock_held_seconds=_distribution(LOCK_WAIT, 0.0014, 0.0004),
        commit_seconds=_distribution(LOCK_WAIT, 0.0011, 0.0001),
        batch_size=_distribution(BATCH, 1, 1),
        frames_resent=0,
        fenced_commits=0,
        inconsistent_batches=0,
        ledger_faults={"settle": 0, "take": 0, "send": 0, "read": 0},
        workers_hung=0,
        worker_restarts=0,
        web_process_restarts=0,
        web_server_restarts=0,
    ),
    workers=WORKERS.workers,
    shards=[],
    events=[view_event_now(event, SOLD_AT_MS) for event in (_GALA, _RECITAL)],
)
ALIVE: Final = Health("alive")
READY: Final = Health("ready")
ORDERS_CSV: Final = "".join(
    f"{line}\r\n"
    for line in (
        "id,status,sold_at,buyer,ticket_type,number,code",
        *(
            f"{ORDER.id},{ORDER.status},{ORDER.sold_at},{ORDER.buyer},"
            f"{ticket.ticket_type},{ticket.number},{ticket.code}"
            for ticket in ORDER.tickets
        ),
    )
)
