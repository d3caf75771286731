"""A history: every request about one event with its two moments, what was heard, and the ledger.

In: whoever speaks to a service or plays one, load test, fault test or simulation; nothing here
knows HTTP. Moments are seconds of one monotonic clock, which all processes of a host share.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from msgspec import Struct, field

NEVER = math.inf  # the moment at which an answer that did not come was heard
LOOK_AGE_SECONDS = 0.250  # the oldest that an answer of `/remaining` may be
NO_LINE = 0

Quantities: TypeAlias = tuple[tuple[str, int], ...]  # (ticket type, tickets) each, sorted


class Sold(Struct, frozen=True, tag="sold"):
    """An order as it was told, or as the ledger has it."""

    order: str
    quantities: Quantities
    numbers: tuple[int, ...] = ()  # of its tickets
    digest: int = 0  # of the whole answer, or of the part that can never change


class SoldOut(Struct, frozen=True, tag="sold-out"):
    """A refusal, which tells exactly what was left at one moment."""

    ticket_type: str
    remaining: int
    held: int = 0


class Refused(Struct, frozen=True, tag="refused"):
    """Another certain no, which tells nothing of the stock."""

    reason: str = ""


Said: TypeAlias = Sold | SoldOut | Refused | None  # None: unknown; it may have sold, or yet sell


class Ask(Struct):
    """One request to buy. All requests with one key are one purchase.

    `fresh`: this very request made the order; otherwise it was told that there is one. `line` names
    a connection, which leads to one web process for as long as it lasts.
    """

    key: str
    wanted: Quantities
    asked_at: float
    heard_at: float = NEVER
    said: Said = None
    fresh: bool = False
    line: int = NO_LINE


class Cancel(Struct):
    """One request to take an order back; not `done`: unknown."""

    order: str
    asked_at: float
    heard_at: float = NEVER
    done: bool = False
    line: int = NO_LINE


class Stock(Struct, frozen=True):
    """What a look showed of one ticket type."""

    ticket_type: str
    sold: int
    held: int
    remaining: int


class Look(Struct):
    """One answer of `/remaining` about the event."""

    asked_at: float
    heard_at: float
    stock: tuple[Stock, ...]
    line: int = NO_LINE


class Booked(Struct):
    """One order of the ledger; `key` names its purchase where no client was told of the order."""

    sold: Sold
    cancelled: bool = False
    key: str = ""


class History(Struct):
    """All that was asked about one event of constant capacity, and its ledger in order of sale."""

    capacity: dict[str, int]
    asks: list[Ask] = field(default_factory=list)
    cancels: list[Cancel] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    ledger: list[Booked] = field(default_factory=list)
    look_age_seconds: float = LOOK_AGE_SECONDS


def quantities(wanted: dict[str, int]) -> Quantities:
    """Write quantities by ticket type in the one form in which they compare."""
    return tuple(sorted((kind, number) for kind, number in wanted.items() if number))
