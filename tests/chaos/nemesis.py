"""The nemesis: draws what goes wrong, and when, from a seed, and looks that selling goes on after.

Between two faults it mostly waits until something was sold again, so that each meets a service at
work; and sometimes not, so that faults meet a service that is still getting up.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.chaos.faults import Fault, faults_of
from tests.chaos.sites import Site

QUIET_SECONDS: Final = 0.3  # between two faults, at least
RECOVERY_SECONDS: Final = 60.0  # then it does not recover
TWO_AT_A_TIME, WITHOUT_WAITING = 0.25, 0.2  # shares
LOOK_SECONDS: Final = 0.1


class StuckError(RuntimeError):
    """Everything is healed, and nothing is sold."""


class Nemesis:
    """Breaks a site, again and again.

    `last_sale_at` says when something was sold, monotonic; `look` is called while it waits. A
    `calm` of so many seconds at most lies between two faults.
    """

    def __init__(
        self,
        site: Site,
        seed: int,
        calm_seconds: float,
        last_sale_at: Callable[[], float],
        look: Callable[[], None],
    ) -> None:
        self._calm_seconds = calm_seconds
        self._look = look
        self._chance = random.Random(f"{seed} nemesis")
        self._last_sale_at = last_sale_at
        self._faults = faults_of(site)
        self.struck: Counter[str] = Counter()
        self.story: list[tuple[float, float, str]] = []  # from, to, what: monotonic seconds

    def rage(self, until: float) -> None:
        """Break things until a moment. Raises StuckError."""
        while time.monotonic() < until:
            self._wait(self._chance.uniform(QUIET_SECONDS, self._calm_seconds))
            self._strike(self._drawn())
            if self._chance.random() >= WITHOUT_WAITING:
                self.wait_until_it_sells()
        self.wait_until_it_sells()

    def wait_until_it_sells(self) -> None:
        """Wait until something is sold from now on. Raises StuckError."""
        began = time.monotonic()
        while self._last_sale_at() <= began:
            self._wait(LOOK_SECONDS)
            if time.monotonic() - began > RECOVERY_SECONDS:
                after = ", ".join(what for _, _, what in self.story[-3:])
                raise StuckError(f"nothing sold within {RECOVERY_SECONDS} s after {after}")

    def during(self, since: float, until: float) -> str:
        """Return what went wrong in a span of time, for people."""
        return ", ".join(what for begin, end, what in self.story if end > since and begin < until)

    def _drawn(self) -> list[Fault]:
        weights = [fault.weight for fault in self._faults]
        (first,) = self._chance.choices(self._faults, weights)
        others = [fault for fault in self._faults if fault.target != first.target]
        if others and self._chance.random() < TWO_AT_A_TIME:
            return [first, self._chance.choice(others)]
        return [first]

    def _seconds(self, fault: Fault) -> float:
        """Draw how long a fault lasts: mostly shortly."""
        least, most = fault.seconds
        return least + (most - least) * self._chance.random() ** 2

    def _strike(self, faults: list[Fault]) -> None:
        began, heals = time.monotonic(), []
        try:
            for fault in faults:
                heals.append(fault.strike(self._chance))
                self.struck[fault.name] += 1
            self._wait(max(self._seconds(fault) for fault in faults))
        finally:
            for heal in reversed(heals):
                heal()
        self.story.append((began, time.monotonic(), " + ".join(fault.name for fault in faults)))

    def _wait(self, seconds: float) -> None:
        """Wait, and look after the site meanwhile."""
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
            self._look()
