"""What is told of many runs: a line of progress, seeds that failed, the table of planted bugs."""

from __future__ import annotations

import time
from typing import Final

from tests.simulation.planted import PLANTS
from tests.simulation.planting import planted
from tests.simulation.runs import Runner, Verdict

SAY_EVERY_SECONDS: Final = 5.0
CELL: Final = 90  # characters


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


def table(runner: Runner, ledgers: list[str], first: int, count: int, *, until_found: bool) -> int:
    """Print in how many seeds each planted bug is found; 1 if one is not found at all."""
    print("| bug | ledger | found in | of seeds | the first | as |")
    print("|---|---|---|---|---|---|")
    missed = 0
    for plant in [plant for plant in PLANTS if plant.ledger in ledgers]:
        found: list[Verdict] = []
        tried = 0
        with planted(plant):
            for seed in range(first, first + count):
                tried += 1
                verdict = runner.run(plant.ledger, seed)
                if verdict.failures:
                    found.append(verdict)
                    if until_found:
                        break
        missed += not found
        seen = f"{found[0].seed} | {in_brief(found[0].failures[0])}" if found else "- | -"
        print(f"| {plant.name} | {plant.ledger} | {len(found)} | {tried} | {seen} |", flush=True)
    return int(missed > 0)


def in_brief(failure: str) -> str:
    """Return the start of what failed, as a cell of a table."""
    text = " ".join(failure.split()).replace("|", "/")
    return text if len(text) <= CELL else text[: CELL - 1] + "…"
