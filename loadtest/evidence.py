"""What a run leaves behind to judge it by: the clients' stories, the last look, the server's books.

In: what `referee.py` collected. Out: plain data for the invariants, which therefore need no server.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from msgspec import Struct

from loadtest.history import operations as history
from loadtest.history.operations import (
    Ask,
    Booked,
    History,
    Refused,
    Said,
    Sold,
    SoldOut,
    Stock,
    quantities,
)
from loadtest.history.timeline import Timeline
from loadtest.stories import Answer, Look, Order, Purchase, Record, Sale


class Audit(Struct, frozen=True):
    """The answer of `GET /events/{id}/audit`."""

    consistent: bool
    entries: int
    capacity: int
    sold: int
    held: int
    remaining: int
    orders: int
    tickets: int
    findings: list[object] = []


class Books(Struct, frozen=True):
    """What the administration shows after the rush; a peer has none of it."""

    orders: list[Order]  # every order of the event, in the order of sale
    by_id: dict[str, Order | None]  # some orders as a buyer reads them; None where there is none
    audit: Audit


@dataclass(frozen=True)
class Evidence:
    """Everything a run is judged by."""

    sale: Sale
    record: Record
    final: Look
    books: Books | None = None
    processes: int = 1  # that ran clients
    processes_heard: int = 1
    crashes: list[str] = field(default_factory=list)  # of the load test's own clients
    began_at: float = -math.inf  # by the monotonic clock; what follows the end is the referee's
    ended_at: float = math.inf

    def answers(self) -> Iterator[tuple[Purchase, Answer]]:
        """Yield every answer with the purchase it belongs to."""
        return ((p, answer) for p in self.record.purchases for answer in p.answers)

    @cached_property
    def told(self) -> dict[str, Order]:
        """The orders that clients were told of, by id, each as it was told first."""
        orders: dict[str, Order] = {}
        for _, answer in self.answers():
            if answer.order:
                orders.setdefault(answer.order.id, answer.order)
        return orders

    @cached_property
    def timeline(self) -> Timeline:
        """When everything was asked and heard, in the order of sale."""
        return Timeline(history_of(self))

    @property
    def accounts(self) -> dict[str, list[Order]]:
        """What is sold by each account of it: the clients', and the books' where there are any."""
        told = {"told to buyers": list(self.told.values())}
        return told | ({"in the books": self.books.orders} if self.books else {})


def history_of(evidence: Evidence) -> History:
    """Return the same as a plain history: what was asked, when, and what was heard."""
    books = evidence.books
    looks = [look for look in [*evidence.record.looks, evidence.final] if not look.fault]
    return History(
        capacity={kind.id: kind.capacity for kind in evidence.sale.ticket_types},
        asks=[_ask(purchase, answer) for purchase, answer in evidence.answers()],
        looks=[_look(look) for look in looks],
        ledger=[Booked(_sold(order), order.status == "cancelled") for order in books.orders]
        if books
        else [],
    )


def _ask(purchase: Purchase, answer: Answer) -> Ask:
    return Ask(
        purchase.key,
        quantities(purchase.wanted),
        answer.asked_at,
        answer.heard_at,
        _said(answer),
        fresh=answer.status == 201 and not answer.replayed,
    )


def _said(answer: Answer) -> Said:
    if answer.order:
        return _sold(answer.order)
    if answer.problem == "sold-out":
        return SoldOut(answer.ticket_type, answer.remaining, answer.held)
    return Refused(answer.problem) if answer.refused else None


def _sold(order: Order) -> Sold:
    numbers = tuple(ticket.number for ticket in order.tickets)
    return Sold(order.id, quantities(order.quantities), numbers)


def _look(look: Look) -> history.Look:
    stock = (Stock(c.ticket_type, c.sold, c.held, c.remaining) for c in look.ticket_types)
    return history.Look(look.asked_at, look.heard_at, tuple(stock))
