"""The table at the end of `make chaos`: what was broken, what was sold, and what went wrong.

Exit status 0 only if nothing is lost, oversold, doubled, untrue, and something of each was checked.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from loadtest.history.checks import CHECKS, MOMENTS
from tests.chaos.judge import AUDIT, Judged
from tests.chaos.rounds import Progress

WRONGS: Final = {
    "lost": ["nothing that was told is missing"],
    "oversold": ["the stock is never negative"],
    "doubled": ["nothing is sold twice", "nothing is there that nobody asked for"],
    "answers that were not so": list(MOMENTS),
    "audits that disagree": [AUDIT],
}


@dataclass
class Outcome:
    """What came of one side of a run."""

    side: str
    shards: int = 1
    seconds: float = 0.0  # of selling
    progress: Progress = field(default_factory=Progress)
    quiet_rate: float = 0.0  # sales a second before the first fault
    struck: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    events: int = 0
    orders: int = 0  # in the ledgers, those that were cancelled included
    checked: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    unsettled: int = 0  # purchases whose buyers never knew
    gap: str = ""  # what went wrong in the longest time without a sale
    bugs: list[str] = field(default_factory=list)  # that the service itself tells of
    broke_off: str = ""  # why the run did not come to its end

    def take(self, judged: Judged) -> None:
        """Take in the judgement on one event."""
        self.events += 1
        self.orders += judged.orders
        self.checked.update(judged.checked)
        self.wrong.update(judged.wrong)
        for name, examples in judged.examples.items():
            self.examples += [f"{judged.event}: {name}: {example}" for example in examples]

    def count(self, wrong: str) -> int:
        """Return how much is wrong in one way."""
        return sum(self.wrong[name] for name in WRONGS[wrong])

    @property
    def failures(self) -> list[str]:
        """Why this run does not pass; nothing if it does."""
        found = [f"{self.count(wrong)} {wrong}" for wrong in WRONGS if self.count(wrong)]
        found += [f"nothing checked: {name}" for name in (*CHECKS, AUDIT) if not self.checked[name]]
        found += [f"an answer that is not allowed: {text}" for text in self.progress.strange]
        found += [f"the service says: {line}" for line in self.bugs]
        found += [self.broke_off] if self.broke_off else []
        if not self.broke_off and self.orders < self.progress.confirmed:
            found.append(
                f"{self.progress.confirmed} confirmed, {self.orders} in the ledgers judged"
            )
        return found


def table(outcomes: list[Outcome]) -> str:
    """Return the one table, a column a side."""
    rows: list[tuple[str, list[str]]] = [("", [outcome.side for outcome in outcomes])]

    def row(name: str, values: list[object]) -> None:
        rows.append((name, [f"{v:,}" if isinstance(v, int) else str(v) for v in values]))

    row("shards", [outcome.shards for outcome in outcomes])
    for name in sorted({name for outcome in outcomes for name in outcome.struck}):
        row(name, [outcome.struck[name] for outcome in outcomes])
    row("faults", [outcome.struck.total() for outcome in outcomes])
    row("hosts started again", [outcome.restarts for outcome in outcomes])
    row("seconds", [round(outcome.seconds) for outcome in outcomes])
    row("requests", [outcome.progress.requests for outcome in outcomes])
    row("purchases confirmed", [outcome.progress.confirmed for outcome in outcomes])
    row("purchases refused", [outcome.progress.refused for outcome in outcomes])
    row("requests of unknown outcome", [outcome.progress.unknown for outcome in outcomes])
    row("purchases never settled", [outcome.unsettled for outcome in outcomes])
    row("orders in the ledgers", [outcome.orders for outcome in outcomes])
    row("sales/s, quiet", [round(outcome.quiet_rate) for outcome in outcomes])
    row("longest time without a sale, s", [f"{o.progress.gap_seconds:.1f}" for o in outcomes])
    for wrong in WRONGS:
        row(wrong, [outcome.count(wrong) for outcome in outcomes])
    width = max(len(name) for name, _ in rows)
    return "\n".join(
        f"{name:<{width}}" + "".join(f"  {value:>12}" for value in values) for name, values in rows
    )
