"""The Python client of a soldout service: HTTP through `requests`, and nothing else.

    with Client("http://127.0.0.1:8000") as client:
        order = client.buy("gala", 2, buyer="ann@example.com")

Methods return what the service says as structs, or raise:

ClientError
├── Refused                the service said no, and nothing was done; `problem` holds its words
│   ├── SoldOut            not enough tickets; `remaining`, and `held`, which may come back
│   ├── NotOnSale          not opened yet, paused or closed; `event_status`, `opens_at`
│   ├── BuyerLimit         more than this buyer may have
│   ├── UnknownEvent
│   ├── UnknownTicketType
│   ├── InvalidRequest     breaks a rule; `errors` says which field and why
│   ├── MalformedRequest
│   ├── KeyReused          the key names a purchase with another body
│   ├── NotSettled         no such order; it may still be pending, for `retry_after_seconds`
│   ├── NotFound           nothing is at this address: no such order to cancel
│   ├── CapacityCommitted  a capacity below what is sold and held
│   ├── Unauthorized       no administration key was sent
│   └── Forbidden          this administration key is not the service's
├── Unavailable            no answer came while patience lasted; asking again is safe
│   └── Unsettled          a purchase that may or may not be sold; asking with its `key` tells
└── UnexpectedAnswer       what answered does not speak like soldout: another server, a proxy

Whatever `buy` raises carries the purchase's `key`: who tries again with it can never buy twice.

The way of a wish: `client.py` takes it, `calls.py` writes it as a request, `transport.py` sends
that as often as `patience.py` allows, `answers.py` judges what comes back: one of `results.py`
and `now.py`, or of `errors.py`. `stream.py` reads what never ends.
"""

from service.client.calls import EventMembers
from service.client.client import PATIENCE_SECONDS, TIMEOUT_SECONDS, Client
from service.client.errors import (
    BuyerLimit,
    CapacityCommitted,
    ClientError,
    Forbidden,
    InvalidRequest,
    KeyReused,
    MalformedRequest,
    NotFound,
    NotOnSale,
    NotSettled,
    Refused,
    SoldOut,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    UnknownEvent,
    UnknownTicketType,
    Unsettled,
)
from service.client.now import Distribution, EventNow, Now, Shard, ThisHost
from service.client.patience import BACKOFF_FIRST_SECONDS, BACKOFF_MAX_SECONDS, Clock
from service.client.results import (
    Audit,
    Event,
    EventStock,
    Item,
    Money,
    Order,
    Pending,
    Remaining,
    Ticket,
    TicketType,
    TicketTypeStock,
    Worker,
)
from service.client.transport import CONNECT_TIMEOUT_SECONDS, CSV_CHUNK_BYTES

__all__ = [
    "BACKOFF_FIRST_SECONDS",
    "BACKOFF_MAX_SECONDS",
    "CONNECT_TIMEOUT_SECONDS",
    "CSV_CHUNK_BYTES",
    "PATIENCE_SECONDS",
    "TIMEOUT_SECONDS",
    "Audit",
    "BuyerLimit",
    "CapacityCommitted",
    "Client",
    "ClientError",
    "Clock",
    "Distribution",
    "Event",
    "EventMembers",
    "EventNow",
    "EventStock",
    "Forbidden",
    "InvalidRequest",
    "Item",
    "KeyReused",
    "MalformedRequest",
    "Money",
    "NotFound",
    "NotOnSale",
    "NotSettled",
    "Now",
    "Order",
    "Pending",
    "Refused",
    "Remaining",
    "Shard",
    "SoldOut",
    "ThisHost",
    "Ticket",
    "TicketType",
    "TicketTypeStock",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "UnknownEvent",
    "UnknownTicketType",
    "Unsettled",
    "Worker",
]
