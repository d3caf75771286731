"""What the crowd of `make chaos` is told, what it tells, and the rounds it plays."""

from __future__ import annotations

import time
from typing import Final

from msgspec import Struct

from loadtest.history.operations import History
from tests.chaos.orders import TICKET_TYPE

PLENTY, FEW = 10_000_000, 150  # tickets: of an event that no crowd buys out, of one that any does
ASKS_MAX: Final = 60_000  # of a round: bounds what is kept in memory


class Brief(Struct):
    """What the crowd is told to do."""

    seed: int
    ports: list[int]
    admin_key: str
    folder: str  # where the rounds are left
    lines: int = 48
    round_seconds: float = 15.0


class Progress(Struct):
    """How far the crowd is; times are seconds of the monotonic clock."""

    requests: int = 0
    confirmed: int = 0  # purchases
    refused: int = 0  # purchases
    unknown: int = 0  # requests: no answer, 202, 503
    strange: list[str] = []  # answers that the contract does not allow, a few of them
    last_sale_at: float = 0.0
    gap_seconds: float = 0.0  # longest time without a sale so far, and when it ended
    gap_ended_at: float = 0.0


class Told(Struct, omit_defaults=True):
    """One line of what the crowd prints."""

    progress: Progress
    round: str = ""
    unsettled: int = 0  # of that round's purchases
    done: bool = False


class Event:
    """One event of a round: what is kept of it, and who may give tickets back."""

    def __init__(self, name: str, capacity: int) -> None:
        self.name = name
        self.history = History({TICKET_TYPE: capacity})
        self.sold: list[str] = []  # orders of which some are given back


class Round:
    """Two events, and how many still want to know something of them."""

    def __init__(self, name: str, gives_back: bool) -> None:
        self.name = name
        self.gives_back = gives_back  # in every second round only: without, the checks are exact
        self.events = Event(f"stadium-{name}", PLENTY), Event(f"club-{name}", FEW)
        self.open = 0
        self.unsettled = 0
        self.ends_at = 0.0

    @property
    def over(self) -> bool:
        """Whether it is time for the next one."""
        asks = len(self.events[0].history.asks)
        return time.monotonic() > self.ends_at or asks > ASKS_MAX
