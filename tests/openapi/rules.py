"""Hooks of schemathesis: what it asks keeps the rules that no schema can tell, and often sells.

Only requests that are meant to be good are touched; those meant to be bad stay as bad as they are.
"""

from __future__ import annotations

import itertools
import os
from datetime import datetime
from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

from workers.domain import MAX_TICKETS_PER_ORDER

ONE_TYPE, MANY_TYPES, NEXT_DOOR, NOWHERE = "one-type", "many-types", "next-door", "nowhere"
ON_SALE = {ONE_TYPE, MANY_TYPES, NEXT_DOOR}  # and to stay so
TYPES = 50  # of many-types, as many as an order may name
MOST_EACH = MAX_TICKETS_PER_ORDER // TYPES
MARK = os.environ.get("SOLDOUT_TEST_MARK", "0")  # keys of one run are not those of another
_count = itertools.count()


@schemathesis.hook
def before_call(context: object, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    event = (case.path_parameters or {}).get("event_id")
    if case.method != "GET" and event in ON_SALE:  # it has learnt of them by looking
        case.path_parameters["event_id"] = f"{event}-too"
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if not isinstance(case.body, dict):
        return
    body = whole(case.body)
    if case.operation.label == "POST /buy":
        case.body = fit_to_buy(body)
        if "Idempotency-Key" in (case.headers or {}):  # else used before, with another body
            case.headers["Idempotency-Key"] = f"schemathesis-{MARK}-{next(_count)}"
    elif case.operation.label == "PUT /events/{event_id}":
        case.body = fit_to_put(body)


def whole(value: Any) -> Any:
    """Write 2.0 as 2: to JSON Schema they are the same, to soldout only the latter is whole."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: whole(member) for name, member in value.items()}
        case list():
            return [whole(member) for member in value]
        case _:
            return value


def fit_to_buy(body: dict[str, Any]) -> dict[str, Any]:
    """Two of three ask for what is on sale; no type is named twice, and all are not too many."""
    known = next(_count) % 3 > 0
    if "items" in body:
        items = [
            {"ticket_type": f"t{n}", "quantity": (item["quantity"] - 1) % MOST_EACH + 1}
            for n, item in enumerate(body["items"])
        ]
        return body | {"items": items, "event": MANY_TYPES if known else NOWHERE}
    if known:
        body.pop("ticket_type", None)
    return body | {"event": ONE_TYPE if known else NOWHERE}


def fit_to_put(body: dict[str, Any]) -> dict[str, Any]:
    """Ticket types differ by their ids, prices are in one currency, and sales open first."""
    types = body.get("ticket_types", [])
    if len({kind["id"] for kind in types}) < len(types):
        types = [{**kind, "id": f"t{n}"} for n, kind in enumerate(types)]
    currency = next((kind["price"]["currency"] for kind in types if kind.get("price")), "")
    types = [
        {**kind, "price": {**kind["price"], "currency": currency}} if kind.get("price") else kind
        for kind in types
    ]
    opens, closes = body.get("opens_at"), body.get("closes_at")
    if opens and closes and datetime.fromisoformat(closes) <= datetime.fromisoformat(opens):
        del body["closes_at"]
    return body | ({"ticket_types": types} if types else {})
