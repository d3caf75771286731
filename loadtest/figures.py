"""What a run was, in numbers: how many came and what they heard, how long it took, what was left.

In: `Evidence` and the verdicts on it. Out: a `Run`, written as JSON and drawn by `page.py`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from textwrap import shorten
from typing import Final

from msgspec import Struct

from loadtest.evidence import Evidence
from loadtest.findings import BREACH_CHARS, BREACHES_PRINTED, State, Verdict, passed
from loadtest.shapes import ACTS, opening_seconds
from loadtest.stories import UNANSWERED, Answer, Look

SLICE_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
SLICES_MAX: Final = 60  # a curve of more is a smear, of much fewer a stair
NINES_STEP: Final = 0.05  # between two points of the distribution, in powers of ten of its rest


class Promise(Struct, frozen=True):
    """What came of one invariant, short enough to be shown."""

    name: str
    state: State
    checked: int
    broken: int
    breaches: list[str]  # the first ones


class Latency(Struct, frozen=True):
    """How long the answers to `POST /buy` took, in milliseconds, by the clocks of the clients."""

    answers: int
    p50: float
    p99: float
    p999: float
    slowest: float
    distribution: list[tuple[float, float]]  # this share of the answers took at most so long
    p50_over_time: list[float | None]  # None where nothing was answered
    p99_over_time: list[float | None]


class Run(Struct, frozen=True, kw_only=True):
    """One rush against one server. Moments are seconds after its start; rates are a second."""

    server: str
    passed: bool
    event: str
    seed: int
    users: int
    seconds: float
    opens_at: float | None  # None where it was always open
    acts: list[tuple[str, float]]  # and when each of them ended
    capacity: int
    tickets_told: int  # to buyers, all orders they hold added up
    oversold: int
    sold_twice: int  # ticket numbers that stand in more than one order
    uncounted: int  # tickets told to buyers that the server does not count as sold
    left: int  # as the server shows it in the end
    purchases: int
    looks: int
    heard: dict[str, int]
    slice_seconds: float
    arrivals: list[float]
    sold: list[float]
    replayed: list[float]
    refused: list[float]
    unsettled: list[float]  # 202, 503 and whatever else
    latency: Latency
    shown: list[tuple[float, int]]  # what /remaining said was left
    real: list[tuple[float, int]]  # the capacity less the tickets told to buyers until then
    promises: list[Promise]
    notes: list[str] = []


def run_of(
    evidence: Evidence,
    verdicts: Sequence[Verdict],
    *,
    server: str,
    users: int,
    seconds: float,
    notes: Iterable[str] = (),
) -> Run:
    """Return the numbers of a run. What was asked after its end, by the referee, is no rush."""
    began_at, ended_at = evidence.began_at, evidence.ended_at
    slices = Slices(seconds, began_at)
    answers = [a for _, a in evidence.answers() if a.status != 200 and a.asked_at < ended_at]
    heard = [a for a in answers if a.status != UNANSWERED]
    told = [ticket for order in evidence.told.values() for ticket in order.tickets]
    holders = Counter(ticket.number for ticket in told)
    kinds = Counter(ticket.ticket_type for ticket in told)
    stock = {kind.id: kind.capacity for kind in evidence.sale.ticket_types}
    return Run(
        server=server,
        passed=passed(verdicts),
        event=evidence.sale.event,
        seed=evidence.sale.seed,
        users=users,
        seconds=seconds,
        opens_at=opening_seconds(seconds) if evidence.sale.administered else None,
        acts=[(act.name, act.ends_at * seconds) for act in ACTS],
        capacity=evidence.sale.capacity,
        tickets_told=len(told),
        oversold=sum(max(0, kinds[kind] - capacity) for kind, capacity in stock.items()),
        sold_twice=sum(1 for times in holders.values() if times > 1),
        uncounted=max(0, len(told) - evidence.final.sold),
        left=evidence.final.remaining,
        purchases=len(evidence.record.purchases),
        looks=len(evidence.record.looks),
        heard=dict(Counter(answer.outcome for answer in answers).most_common()),
        slice_seconds=slices.seconds,
        arrivals=slices.rate(answer.asked_at for answer in answers),
        sold=slices.rate(a.heard_at for a in heard if a.outcome == "sold"),
        replayed=slices.rate(a.heard_at for a in heard if a.outcome == "replayed"),
        refused=slices.rate(a.heard_at for a in heard if a.refused),
        unsettled=slices.rate(a.heard_at for a in heard if not a.refused and not a.order),
        latency=latency_of(heard, slices),
        shown=slices.last((look.heard_at, look.remaining) for look in _looks(evidence)),
        real=slices.last(_left_over_time(evidence)),
        promises=[_promise(verdict) for verdict in verdicts],
        notes=list(notes),
    )


class Slices:
    """A run cut into slices of equal length, few enough to be drawn."""

    def __init__(self, run_seconds: float, began_at: float) -> None:
        fits = (step for step in SLICE_SECONDS if run_seconds / step <= SLICES_MAX)
        self.seconds = next(fits, run_seconds / SLICES_MAX)
        self.number = max(1, math.ceil(run_seconds / self.seconds))
        self.began_at, self.run_seconds = began_at, run_seconds

    def of(self, moment: float) -> int:
        """Return the slice that a moment falls in; what is heard after the end is in the last."""
        return int(min(max(0.0, (moment - self.began_at) / self.seconds), self.number - 1))

    def rate(self, moments: Iterable[float]) -> list[float]:
        """Return how many there were a second, in each slice."""
        times = Counter(map(self.of, moments))
        return [round(times[one] / self.seconds, 4) for one in range(self.number)]

    def last(self, values: Iterable[tuple[float, int]]) -> list[tuple[float, int]]:
        """Return the last value of each slice that has one, and the very first, with its moment."""
        ordered = sorted(values)
        kept = [a for a, b in pairwise(ordered) if self.of(a[0]) != self.of(b[0])]
        ends = dict.fromkeys([*ordered[:1], *kept, *ordered[-1:]])
        return [(self.after_the_start(at), value) for at, value in ends]

    def after_the_start(self, moment: float) -> float:
        """Return a moment in seconds, within the run: what was heard later belongs to its end."""
        return round(min(max(0.0, moment - self.began_at), self.run_seconds), 3)


def latency_of(heard: Sequence[Answer], slices: Slices) -> Latency:
    """Return how long these answers took."""
    by_slice: list[list[float]] = [[] for _ in range(slices.number)]
    for answer in heard:
        by_slice[slices.of(answer.heard_at)].append((answer.heard_at - answer.asked_at) * 1e3)
    for some in by_slice:
        some.sort()
    every = sorted(took for some in by_slice for took in some)
    return Latency(
        answers=len(every),
        p50=quantile(every, 0.5) or 0.0,
        p99=quantile(every, 0.99) or 0.0,
        p999=quantile(every, 0.999) or 0.0,
        slowest=quantile(every, 1.0) or 0.0,
        distribution=[(share, quantile(every, share) or 0.0) for share in shares(len(every))],
        p50_over_time=[quantile(some, 0.5) for some in by_slice],
        p99_over_time=[quantile(some, 0.99) for some in by_slice],
    )


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the nearest rank: a time that was measured, which that share did not exceed."""
    if not ordered:
        return None
    rank = math.ceil(round(share * len(ordered), 6))  # 0.999 * 1000 is a hair more than 999
    return round(ordered[max(rank, 1) - 1], 2)


def shares(answers: int) -> list[float]:
    """Return the shares 0, … 0.9, … 0.99, …, as far as so many answers can tell them apart."""
    if not answers:
        return []
    nines = math.log10(answers)
    steps = [step * NINES_STEP for step in range(int(nines / NINES_STEP) + 1)]
    return [round(1 - 10**-step, 7) for step in steps]


def _looks(evidence: Evidence) -> list[Look]:
    return [look for look in [*evidence.record.looks, evidence.final] if not look.fault]


def _left_over_time(evidence: Evidence) -> Iterable[tuple[float, int]]:
    """Yield what is left by what buyers were told, each order when it was heard of first."""
    first: dict[str, tuple[float, int]] = {}
    for _, answer in evidence.answers():
        if answer.order:
            heard = (answer.heard_at, len(answer.order.tickets))
            first[answer.order.id] = min(heard, first.get(answer.order.id, heard))
    left = evidence.sale.capacity
    yield evidence.began_at, left
    for heard_at, tickets in sorted(first.values()):
        left -= tickets
        yield heard_at, left


def _promise(verdict: Verdict) -> Promise:
    shown = [shorten(b, BREACH_CHARS, placeholder=" …") for b in verdict.breaches]
    return Promise(
        verdict.name,
        verdict.state,
        verdict.checked,
        len(verdict.breaches),
        shown[:BREACHES_PRINTED],
    )
