"""What is told of many runs: a line of progress, seeds that failed, the table of planted bugs."""

from __future__ import annotations

import time
from typing import Final

from tests.simulation.planted import PLANTS, planted
from tests.simulation.runs import Runner, Verdict

SAY_EVERY_SECONDS: Final = 5.0


class Report:
    """Counts runs, and tells how they go."""

    def __init__(self) -> None:
        self._began = self._said = time.monotonic()
        self.seeds = self.failed = 0
        self._steps = self._sales = self._replays = self._deaths = self._power_failures = 0

    def count(self, verdict: Verdict) -> None:
        """Count one run; tell of it if it failed."""
        self.seeds += 1
        self._steps += verdict.steps
        self._sales += verdict.sales
        self._replays += verdict.replays
        self._deaths += verdict.deaths
        self._power_failures += verdict.power_failures
        if verdict.failures:
            self.failed += 1
            print(verdict.in_words(), flush=True)
        if time.monotonic() - self._said > SAY_EVERY_SECONDS:
            self.say()

    def say(self) -> None:
        """Print the line of progress."""
        self._said = time.monotonic()
        speed = self.seeds / max(self._said - self._began, 1e-3)
        print(
            f"{self.seeds} seeds, {self._steps} steps, {self._sales} sales,"
            f" {self._replays} replays, {self._deaths} deaths,"
            f" {self._power_failures} power failures, {self.failed} failed; {speed:.1f} seeds/s",
            flush=True,
        )


def table(runner: Runner, first: int, count: int) -> int:
    """Print in how many seeds each planted bug is found; 1 if one is not found at all."""
    print(f"| bug | simulated ledger | found in, of {count} seeds | first seed | as |")
    print("|---|---|---|---|---|")
    missed = 0
    for plant in PLANTS:
        with planted(plant):
            failed = [
                verdict
                for verdict in (runner.run(plant.ledger, seed) for seed in range(first, first + count))
                if verdict.failures
            ]
        missed += not failed
        seen = f"{failed[0].seed} | {failed[0].failures[0][:80]}" if failed else "- | -"
        print(f"| {plant.name} | {plant.ledger} | {len(failed)} | {seen} |", flush=True)
    return int(missed > 0)
