"""What a crowd of the fault tests asked and heard about one event, as a history that is checked."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from loadtest.history.operations import (
    NEVER,
    Ask,
    Booked,
    History,
    Refused,
    Said,
    Sold,
    SoldOut,
    quantities,
)

if TYPE_CHECKING:
    from tests.faults.crowd import Wish
from tests.faults.line import Attempt

TICKET_TYPE = "general"


def history_of(wishes: Iterable[Wish], orders: Mapping[str, Any], capacity: int) -> History:
    """Return the history of an event of one ticket type, its orders given in the order of sale."""
    return History(
        {TICKET_TYPE: capacity},
        asks=[_ask(wish, attempt) for wish in wishes for attempt in wish.attempts],
        ledger=[Booked(_sold(order), order["status"] == "cancelled") for order in orders.values()],
    )


def _ask(wish: Wish, attempt: Attempt) -> Ask:
    said = _said(attempt)
    return Ask(
        key=wish.key,
        wanted=quantities({TICKET_TYPE: wish.quantity}),
        asked_at=attempt.sent_at,
        heard_at=NEVER if said is None else attempt.sent_at + attempt.seconds,
        said=said,
        fresh=isinstance(said, Sold) and not attempt.replayed,
        line=attempt.line,
    )


def _said(attempt: Attempt) -> Said:
    if attempt.status == 201:
        return _sold(attempt.said)
    if 400 <= attempt.status < 500:
        problem = attempt.said
        if problem["type"] == "/problems/sold-out":
            return SoldOut(problem["ticket_type"], problem["remaining"], problem["held"])
        return Refused(problem["type"])
    return None


def _sold(order: Mapping[str, Any]) -> Sold:
    wanted = quantities({item["ticket_type"]: item["quantity"] for item in order["items"]})
    numbers = tuple(ticket["number"] for ticket in order["tickets"])
    lasting = repr(sorted((name, order[name]) for name in order if name != "status"))
    return Sold(order["id"], wanted, numbers, zlib.crc32(lasting.encode()))
