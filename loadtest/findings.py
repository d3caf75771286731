"""What a check finds, and what is made of it: a verdict that a person reads and a shell tests.

In: how much a check looked at, and a line for each thing that is wrong. Out: a `Verdict` each. One
that found nothing to check has not been kept, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from textwrap import shorten
from typing import TypeAlias

from msgspec import Struct

Finding: TypeAlias = tuple[int, list[str]]  # how much was checked, and what is wrong

BREACHES_PRINTED, BREACH_CHARS = 5, 200  # enough to see what went wrong, without burying the rest


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


def verdict_on(name: str, finding: Finding) -> Verdict:
    """Return what a finding means for an invariant."""
    checked, breaches = finding
    if breaches:
        return Verdict(name, State.BREACH, checked, breaches)
    return Verdict(name, State.OK if checked else State.NOTHING_CHECKED, checked)


def passed(verdicts: Iterable[Verdict]) -> bool:
    """Say whether the run may be called right."""
    return all(verdict.kept for verdict in verdicts)


def report(verdicts: list[Verdict], hints: Mapping[str, str] | None = None) -> str:
    """Return lines for a terminal: state, count and name of each, and what exactly is wrong.

    `hints` say, by name, what to do where nothing was checked.
    """
    lines = [line for verdict in verdicts for line in _lines(verdict, hints or {})]
    broken = sum(1 for verdict in verdicts if not verdict.kept)
    lines.append(f"WRONG: {broken} of {len(verdicts)} invariants not kept" if broken else "RIGHT")
    return "\n".join(lines)


def _lines(verdict: Verdict, hints: Mapping[str, str]) -> list[str]:
    hint = f": {hints[verdict.name]}" if not verdict.checked and verdict.name in hints else ""
    breaches = [shorten(b, BREACH_CHARS, placeholder=" …") for b in verdict.breaches]
    if (more := len(breaches) - BREACHES_PRINTED) > 0:
        breaches[BREACHES_PRINTED:] = [f"and {more} more"]
    return [
        f"  {verdict.state.value:<15} {verdict.checked:>8}  {verdict.name}{hint}",
        *(f"{'':>28}- {breach}" for breach in breaches),
    ]
