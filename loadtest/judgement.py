"""Turns what the invariants found into a verdict that a person reads and a shell tests.

In: `Evidence`. Out: a `Verdict` for each invariant; the run passes if all of them are kept. One
that found nothing to check has not been kept, and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import Enum
from textwrap import shorten

from msgspec import Struct

from loadtest.evidence import Evidence
from loadtest.invariants import BOOKS_CHECKS, CHECKS, Finding

BREACHES_PRINTED, BREACH_CHARS = 5, 200  # enough to see what went wrong, without burying the rest

HINTS = {
    "nobody was refused a ticket that was left": "the stock outlived the rush; give it more users,"
    " more seconds, or fewer tickets (SOLDOUT_LOADTEST_CAPACITY)",
}


class State(Enum):
    """How an invariant came out; a run passes on the first two only."""

    OK = "ok"
    NOT_ASKED = "not asked"  # it needs an administration, which a peer does not have
    NOTHING_CHECKED = "NOTHING CHECKED"
    BREACH = "BREACH"


class Verdict(Struct, frozen=True):
    """What came of one invariant."""

    name: str
    state: State
    checked: int = 0
    breaches: list[str] = []

    @property
    def kept(self) -> bool:
        """Whether the run may pass as far as this invariant goes."""
        return self.state in (State.OK, State.NOT_ASKED)


def judge(evidence: Evidence) -> list[Verdict]:
    """Return a verdict for every invariant, in the order in which they are printed."""
    verdicts = [_verdict(name, check(evidence)) for name, check in CHECKS.items()]
    for name, check in BOOKS_CHECKS.items():
        if evidence.books:
            verdicts.append(_verdict(name, check(evidence, evidence.books)))
        else:
            state = State.NOTHING_CHECKED if evidence.sale.administered else State.NOT_ASKED
            verdicts.append(Verdict(name, state))
    return verdicts


def _verdict(name: str, finding: Finding) -> Verdict:
    checked, breaches = finding
    if breaches:
        return Verdict(name, State.BREACH, checked, breaches)
    return Verdict(name, State.OK if checked else State.NOTHING_CHECKED, checked)


def summary(evidence: Evidence) -> str:
    """Return a few lines on what happened: what was on sale, and what the clients heard."""
    sale, outcomes = evidence.sale, Counter(answer.outcome for _, answer in evidence.answers())
    heard = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())
    return (
        f"\n{sale.event}: {sale.capacity} tickets, {len(evidence.record.purchases)} purchases, "
        f"{len(evidence.record.looks)} looks, SOLDOUT_LOADTEST_SEED={sale.seed}\n"
        f"  heard: {heard}"
    )


def passed(verdicts: Iterable[Verdict]) -> bool:
    """Say whether the run may be called right."""
    return all(verdict.kept for verdict in verdicts)


def report(verdicts: list[Verdict]) -> str:
    """Return lines for a terminal: state, count and name of each, and what exactly is wrong."""
    lines = [line for verdict in verdicts for line in _lines(verdict)]
    broken = sum(1 for verdict in verdicts if not verdict.kept)
    lines.append(f"WRONG: {broken} of {len(verdicts)} invariants not kept" if broken else "RIGHT")
    return "\n".join(lines)


def _lines(verdict: Verdict) -> list[str]:
    hint = f": {HINTS[verdict.name]}" if not verdict.checked and verdict.name in HINTS else ""
    breaches = [shorten(b, BREACH_CHARS, placeholder=" …") for b in verdict.breaches]
    if (more := len(breaches) - BREACHES_PRINTED) > 0:
        breaches[BREACHES_PRINTED:] = [f"and {more} more"]
    return [
        f"  {verdict.state.value:<15} {verdict.checked:>8}  {verdict.name}{hint}",
        *(f"{'':>28}- {breach}" for breach in breaches),
    ]
