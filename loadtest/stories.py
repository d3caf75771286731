"""What the clients of a rush asked for and what they were told: plain data, without HTTP or locust.

In: each purchase, noted before it is sent; each answer, as it is heard. Out: a `Record`, which
travels from locust's workers to its master and is judged there.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

UNANSWERED = 0  # the connection broke, the client gave up, or the run ended first


class Item(Struct, frozen=True):
    """So many tickets of one type."""

    ticket_type: str
    quantity: int


class Ticket(Struct, frozen=True):
    """One ticket of an order; `code` is empty where a peer has none."""

    number: int
    ticket_type: str
    code: str = ""


class Money(Struct, frozen=True):
    """An amount in minor units of an ISO 4217 currency."""

    amount: int
    currency: str


class Order(Struct, frozen=True):
    """An order as a client reads it; a peer leaves out what it does not know."""

    id: str
    event: str
    items: tuple[Item, ...]
    tickets: tuple[Ticket, ...]
    status: str = "sold"
    buyer: str | None = None
    total: Money | None = None
    sold_at: str | None = None

    @property
    def quantities(self) -> Counter[str]:
        """How many tickets of each type it is for."""
        return Counter({item.ticket_type: item.quantity for item in self.items})


class TicketTypeOnSale(Struct, frozen=True):
    """A ticket type as the load test put it on sale; a peer has no price."""

    id: str
    capacity: int
    price: Money | None = None


class Sale(Struct, frozen=True):
    """What is on sale in this run, and whether the server has an administration to ask about it."""

    event: str
    ticket_types: tuple[TicketTypeOnSale, ...]
    administered: bool
    seed: int
    opens_at_seconds: float = 0.0  # Unix time; a peer is always open

    @property
    def capacity(self) -> int:
        """Tickets of all types."""
        return sum(kind.capacity for kind in self.ticket_types)


class Answer(Struct):
    """What was heard to one request of a purchase."""

    early: bool = False  # asked before the sale was certainly open
    after_sale: bool = False  # asked by a client who already held the order
    status: int = UNANSWERED
    problem: str = ""  # slug of the problem type of a refusal
    order: Order | None = None
    replayed: bool = False
    pending_id: str = ""
    retry_after_seconds: float = 0.0
    fault: str = ""  # why the contract does not allow this answer
    asked_at: float = -math.inf  # by the monotonic clock, which the processes of a host share
    heard_at: float = math.inf
    ticket_type: str = ""  # what was sold out, and what was left of it
    remaining: int = 0
    held: int = 0

    @property
    def refused(self) -> bool:
        """Whether it says for certain that this request sold nothing."""
        return 400 <= self.status < 500

    @property
    def outcome(self) -> str:
        """A short name for the statistics."""
        if self.status == UNANSWERED:
            return "no answer"
        if self.order:
            return "replayed" if self.replayed else "sold"
        return self.problem or {202: "pending"}.get(self.status, str(self.status))


class Purchase(Struct):
    """One wish to buy, the key that names it, and every answer it got."""

    key: str
    body: dict[str, Any]
    wanted: dict[str, int]  # ticket type → number of tickets, whichever form the body takes
    answers: list[Answer] = field(default_factory=list)

    def ask(self, early: bool = False) -> Answer:
        """Note a request before it is sent: a client killed meanwhile leaves it unanswered."""
        answer = Answer(early=early, after_sale=self.order is not None, asked_at=time.monotonic())
        self.answers.append(answer)
        return answer

    @property
    def order(self) -> Order | None:
        """The order the client was told of first."""
        return next((answer.order for answer in self.answers if answer.order), None)

    @property
    def told(self) -> bool:
        """Whether the client was told how it ended: an order, or a refusal of the last request."""
        return self.order is not None or (bool(self.answers) and self.answers[-1].refused)

    @property
    def in_doubt(self) -> bool:
        """Whether a request of it may have sold without the client's knowing."""
        return self.order is None and not all(answer.refused for answer in self.answers)


class Count(Struct, frozen=True):
    """The stock of one ticket type as `GET /remaining` shows it."""

    ticket_type: str
    capacity: int
    sold: int
    held: int
    remaining: int


class Look(Struct, frozen=True):
    """One answer of `GET /remaining` about our event; with a fault, the numbers mean nothing."""

    capacity: int = 0
    sold: int = 0
    held: int = 0
    remaining: int = 0
    ticket_types: tuple[Count, ...] = ()
    as_of: str = ""
    fault: str = ""
    asked_at: float = -math.inf
    heard_at: float = math.inf


class Record(Struct):
    """The stories of all clients of a process, or of a whole run."""

    purchases: list[Purchase] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)

    def clear(self) -> None:
        """Forget an earlier run."""
        self.purchases.clear()
        self.looks.clear()

    def add(self, other: Record) -> None:
        """Take in the stories of another process."""
        self.purchases += other.purchases
        self.looks += other.looks


def hear(answer: Answer, status: int, headers: Mapping[str, str], content: bytes) -> None:
    """Note what a `POST /buy` was answered, and name what in it breaks the contract."""
    answer.heard_at = time.monotonic()
    answer.status = status
    answer.replayed = headers.get("Idempotent-Replayed") == "true"
    try:
        answer.retry_after_seconds = float(headers.get("Retry-After") or 0)
        body = msgspec.json.decode(content)
        if status == 201:
            answer.order = msgspec.convert(body, Order)
        elif status == 202:
            answer.pending_id = str(body["id"])
        else:
            answer.problem = str(body["type"]).rpartition("/")[2]
            answer.ticket_type = str(body.get("ticket_type", ""))
            answer.remaining, answer.held = int(body.get("remaining", 0)), int(body.get("held", 0))
    except (ValueError, KeyError, TypeError, msgspec.ValidationError) as error:
        answer.fault = f"{status} with a body we cannot read ({error}): {content[:200]!r}"
    else:
        answer.fault = _fault_of(answer)


def _fault_of(answer: Answer) -> str:
    match answer.status, answer.problem:
        case (201, _) | (409, "sold-out"):
            return ""
        case (409, "not-on-sale") if answer.early:
            return ""
        case (202, _) | (503, "overloaded" | "unavailable"):
            return "" if answer.retry_after_seconds else f"{answer.status} without Retry-After"
        case status, problem:
            return f"unexpected answer {status} {problem}".strip()


def read_look(status: int, content: bytes, event: str, asked_at: float = -math.inf) -> Look:
    """Read our event out of an answer of `GET /remaining`, asked for at a monotonic moment."""
    heard_at = time.monotonic()
    if status != 200:
        return Look(fault=f"GET /remaining answered {status}")
    try:
        page = msgspec.json.decode(content)
        entry = next(entry for entry in page["events"] if entry["event"] == event)
        moments = {"as_of": page["as_of"], "asked_at": asked_at, "heard_at": heard_at}
        return msgspec.convert({**entry, **moments}, Look)
    except (ValueError, KeyError, TypeError, StopIteration, msgspec.ValidationError) as error:
        return Look(fault=f"GET /remaining does not show {event} ({error!r}): {content[:200]!r}")
