"""The judgement of a load test: a verdict on each invariant, and a summary of what happened.

In: `Evidence`. Out: verdicts (`findings.py`); the run passes if all invariants are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from loadtest import findings
from loadtest.evidence import Evidence
from loadtest.findings import BREACHES_PRINTED, State, Verdict, passed, verdict_on
from loadtest.invariants import BOOKS_CHECKS, CHECKS

__all__ = ["BREACHES_PRINTED", "State", "Verdict", "judge", "passed", "report", "summary"]

HINTS = {
    "nobody was refused a ticket that was left": "the stock outlived the rush; give it more users,"
    " more seconds, or fewer tickets (SOLDOUT_LOADTEST_CAPACITY)",
}

# What sounds like a fault and is none; whether each such purchase came to a good end is judged.
MEANINGS = {
    "pending": "202: the client did not wait, or not for so long, and asked later",
    "no answer": "impatient clients hang up early, on purpose, and ask again",
}

UNITS = {  # what an invariant counts: one, and several
    "every client was heard": ("process of clients", "processes of clients"),
    "every answer is one the contract allows": ("answer", "answers"),
    "nothing is oversold": ("ticket", "tickets"),
    "no ticket number is sold twice": ("ticket", "tickets"),
    "every order is what was asked for": ("answer with an order", "answers with an order"),
    "sold + held + remaining = capacity, always": ("look", "looks"),
    "what counts as sold was confirmed": ("ticket", "tickets"),
    "nobody was refused a ticket that was left": ("refusal", "refusals"),
    "every purchase has an outcome": ("purchase", "purchases"),
    "a purchase sent again is sold once": ("purchase", "purchases"),
    "no confirmed order is missing": ("order", "orders"),
    "no order that nobody asked for": ("order", "orders"),
    "an order reads as it was told": ("order", "orders"),
    "nothing is sold before the opening": ("order", "orders"),
    "the audit is consistent and agrees": ("entry of the journal", "entries of the journal"),
    "sales are in an order that time allows": ("sale", "sales"),
    "every refusal was true when it was said": ("refusal", "refusals"),
    "every look was true, and fresh": ("look", "looks"),
    "refusals and looks tell one story": ("refusal or look", "refusals and looks"),
}


def judge(evidence: Evidence) -> list[Verdict]:
    """Return a verdict for every invariant, in the order in which they are printed."""
    verdicts = [verdict_on(name, check(evidence)) for name, check in CHECKS.items()]
    for name, check in BOOKS_CHECKS.items():
        if evidence.books:
            verdicts.append(verdict_on(name, check(evidence, evidence.books)))
        else:
            state = State.NOTHING_CHECKED if evidence.sale.administered else State.NOT_ASKED
            verdicts.append(Verdict(name, state))
    return verdicts


def summary(evidence: Evidence) -> str:
    """Return a few lines on what happened: what was on sale, and what the clients heard."""
    sale, outcomes = evidence.sale, Counter(answer.outcome for _, answer in evidence.answers())
    return (
        f"\n{sale.event}: {sale.capacity} tickets, {len(evidence.record.purchases)} purchases, "
        f"{len(evidence.record.looks)} looks, SOLDOUT_LOADTEST_SEED={sale.seed}\n"
        f"  heard: {heard_in_words(dict(outcomes.most_common()))}"
    )


def heard_in_words(heard: Mapping[str, int]) -> str:
    """Return what clients heard, each outcome with how often, and what it means if one may ask."""
    return ", ".join(f"{number} {with_meaning(outcome)}" for outcome, number in heard.items())


def with_meaning(outcome: str) -> str:
    """Return an outcome's name, and what it means if it sounds like a fault."""
    return f"{outcome} ({MEANINGS[outcome]})" if outcome in MEANINGS else outcome


def report(verdicts: list[Verdict]) -> str:
    """Return lines for a terminal: state, count and name of each, and what exactly is wrong."""
    return findings.report(verdicts, HINTS)
