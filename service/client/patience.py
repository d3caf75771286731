"""How long, and how often, the client tries: the pauses between attempts, and their end."""

from __future__ import annotations

import secrets
from typing import Protocol

BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_MAX_SECONDS = 5.0


class Clock(Protocol):
    """What tells and passes time; the module `time` is one."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def sleep(self, seconds: float, /) -> None:
        """Return after so many seconds."""


class Patience:
    """The time and the pauses that one call may spend on attempts."""

    _random = secrets.SystemRandom()

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._clock = clock
        self._ends = clock.monotonic() + seconds
        self._backoff_seconds = BACKOFF_FIRST_SECONDS

    def pause(self, retry_after_seconds: float | None) -> bool:
        """Sleep before the next attempt; False, at once, if patience would end before it.

        Exponential backoff, half of it random, so that those who failed together do not come back
        together; never shorter than the service asks.
        """
        half = self._backoff_seconds / 2
        seconds = max(half, retry_after_seconds or 0.0) + self._random.uniform(0, half)
        if self._clock.monotonic() + seconds > self._ends:
            return False
        self._backoff_seconds = min(self._backoff_seconds * 2, BACKOFF_MAX_SECONDS)
        self._clock.sleep(seconds)
        return True
