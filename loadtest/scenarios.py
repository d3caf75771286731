"""What the clients of the benchmark do. A further scenario is a further `Scenario`.

In: nothing. Out: what is on sale, what each client sends over and over, and which answers count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtest.gauges import Sighting

PLENTY = 50_000_000  # more than any turn can sell
EVENT = "bench"
EVENTS = 100
BUYER = "ann@example.com"


@dataclass(frozen=True)
class Scenario:
    """`body` is posted to `path`, or `path` just read; wrk.lua says what a colon in it means."""

    name: str
    says: str
    on_sale: Mapping[str, int]
    path: str = "/buy"
    body: Mapping[str, Any] | None = None
    counted: tuple[str, ...] = ("sales",)
    settings: Mapping[str, str] = field(default_factory=dict)  # of wrk.lua

    def count(self, seen: Sighting) -> int:
        """Return how many answers count as throughput here."""
        return sum(getattr(seen, field) for field in self.counted)


def purchase(event: str) -> dict[str, Any]:
    """Return the body of a purchase of one ticket."""
    return {"event": event, "quantity": 1, "buyer": BUYER}


SALE = Scenario("sale", "one hot event", {EVENT: PLENTY}, body=purchase(EVENT))
MANY = Scenario(
    "events",
    f"{EVENTS} events, in turn",
    {f"{EVENT}-{number}": PLENTY for number in range(EVENTS)},
    body=purchase(f"{EVENT}::{EVENTS}"),
)
SOLD_OUT = Scenario(
    "sold-out",
    "99 of 100 are refused",
    {EVENT: PLENTY, "gone-0": 1},
    body=purchase(f"gone:{EVENT}:1"),
    counted=("sales", "refusals"),
)
LOOKS = Scenario(
    "remaining", "readers of GET /remaining", {EVENT: PLENTY}, "/remaining", counted=("looks",)
)
SCENARIOS = {scenario.name: scenario for scenario in (SALE, MANY, SOLD_OUT, LOOKS)}
