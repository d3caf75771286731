"""What several operations take and answer: parameters, headers, links."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from service import admin, curves, wire
from service.openapi import examples
from service.openapi.words import (
    HTML,
    Content,
    Header,
    Parameter,
    Success,
)
from service.views import (
    OrderId,
)

# As `keys.read_key` reads it: bare, or a string of RFC 9651 that holds as much.
KEY = Annotated[str, Meta(pattern=r'^(?:[!#-~][!-~]{15,254}|"(?:[!#-\[\]-~]|\\["\\]){16,255}")$')]
WHOLE = Annotated[int, Meta(ge=0, le=10**15 - 1)]
LIMIT = Annotated[int, Meta(ge=1, le=10**15 - 1, extra_json_schema={"default": admin.PAGE_DEFAULT})]
POINTS = Annotated[
    int, Meta(ge=0, le=10**15 - 1, extra_json_schema={"default": curves.POINTS_DEFAULT})
]
_LOCATION = Annotated[str, Meta(extra_json_schema={"format": "uri-reference"})]
_NO_STORE = Annotated[str, Meta(extra_json_schema={"const": "no-store"})]
_TRUE = Annotated[str, Meta(extra_json_schema={"const": "true"})]

EVENT_ID: Final = Parameter("event_id", "path", wire.Id, "The event's id.", "gala")
ORDER_ID: Final = Parameter(
    "order_id",
    "path",
    OrderId,
    "The order's id, which is as good as a password.",
    examples.ORDER_ID,
)
IDEMPOTENCY_KEY: Final = Parameter(
    "Idempotency-Key",
    "header",
    KEY,
    "Names the purchase: 16 to 255 visible ASCII characters, bare or as a quoted string, a UUID by "
    "habit. The same key with the same body gives the same order, at any later time. Without it "
    "the server makes one.",
    examples.KEY,
)
PREFER: Final = Parameter(
    "Prefer",
    "header",
    str,
    "`respond-async` answers 202 as soon as the purchase is handed over, `wait=N` waits N seconds "
    "at most (RFC 7240).",
    "wait=2",
)

NOT_STORED: Final = Header("Cache-Control", _NO_STORE, "Not to be kept.", "no-store")
ORDER_LOCATION: Final = Header(
    "Location", _LOCATION, "Where the order is, or will be.", f"/orders/{examples.ORDER_ID}"
)
EVENT_LOCATION: Final = Header("Location", _LOCATION, "Where the event is.", "/events/gala")
REPLAYED: Final = Header(
    "Idempotent-Replayed", _TRUE, "The order was sold before, under this key.", "true"
)
APPLIED: Final = Header(
    "Preference-Applied", str, "What was done of `Prefer` (RFC 7240).", "wait=2"
)
KEY_GIVEN: Final = Header(
    "Idempotency-Key", KEY, "The purchase's key, to ask again with.", f'"{examples.KEY}"'
)
NEXT_PAGE: Final = Header(
    "Link",
    str,
    "The next page, if there is one (RFC 8288).",
    '</events/gala/orders?after=101&limit=100>; rel="next"',
)
ATTACHMENT: Final = Header(
    "Content-Disposition",
    str,
    "A file's name, with the CSV.",
    'attachment; filename="gala-orders.csv"',
)

TO_THE_ORDER: Final = {
    "order": {"operationId": "getOrder", "parameters": {"order_id": "$response.body#/id"}},
    "cancel": {"operationId": "cancelOrder", "parameters": {"order_id": "$response.body#/id"}},
}
TO_THE_EVENT: Final = {
    name: {"operationId": operation, "parameters": {"event_id": "$response.body#/id"}}
    for name, operation in (
        ("event", "getEvent"),
        ("orders", "listOrders"),
        ("audit", "auditEvent"),
    )
}


def says(kind: Any, example: Any, description: str, *headers: Header, **more: Any) -> Success:
    """Describe an answer of one struct with one example."""
    return Success(description, (Content(kind, {"example": example}),), headers, **more)


def in_html(description: str) -> Success:
    """Describe a page for people."""
    return Success(description, (Content(str, {}, HTML),))
