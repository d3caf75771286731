"""The pictures of a run: what was left, the rush, and how long an answer took.

In: a `Run`, and the `Scale` that it shares with the runs beside it. Out: SVG for the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from loadtest.curves import (
    Area,
    Axis,
    Dot,
    Layer,
    Line,
    Mark,
    axis,
    draw,
    number_text,
    seconds_axis,
    steps,
)
from loadtest.figures import Run

STACK: Final = ("sold", "replayed", "refused", "unsettled")  # from below
HEADROOM: Final = 1.1  # above the slowest answer, for the words beside it
SHARES: Final = ((0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"))


class Scale(Struct, frozen=True):
    """The highest of each kind among the runs of a page, so that they can be compared."""

    capacity: int
    lowest: int  # below zero where more was sold than there was
    rate: float
    answer_ms: float
    answers: int
    wait_ms: float  # of the curves over time


def scale_of(runs: Sequence[Run]) -> Scale:
    """Return the scale that has room for all of these."""
    waits = [ms for run in runs for ms in run.latency.p99_over_time if ms is not None]
    return Scale(
        capacity=max(run.capacity for run in runs),
        lowest=min(0, *(left for run in runs for _, left in run.real)),
        rate=max(max(*run.arrivals, *_stacked(run)[-1]) for run in runs),
        answer_ms=max(run.latency.slowest for run in runs),
        answers=max(run.latency.answers for run in runs),
        wait_ms=max(waits, default=1.0),
    )


def stock(run: Run, scale: Scale) -> str:
    """Draw what was left: as the server showed it, and by what its buyers were told."""
    real = steps(run.real, run.seconds)
    below = [(x, min(y, 0.0)) for x, y in real]
    end = run.real[-1][1]
    words = f"{number_text(end)} left" if end >= 0 else f"{number_text(-end)} too many"
    return draw(
        f"Tickets left of {run.capacity} over {run.seconds:g} seconds; in the end {end}.",
        seconds_axis(run.seconds),
        axis("tickets left", scale.lowest, scale.capacity),
        [
            *_story(run),
            Area("wrong", [(x, 0.0) for x, _ in below], below),
            Line("shown", steps(run.shown, run.seconds)),
            Line("real", real),
            Dot("wrong" if end < 0 else "real", run.seconds, end, words, anchor="end"),
        ],
    )


def rush(run: Run, scale: Scale) -> str:
    """Draw how many purchases came a second, and what they were answered."""
    edges = [run.slice_seconds * number for number in range(len(run.arrivals))]
    sums = [[0.0] * len(edges), *_stacked(run)]
    outlines = [steps(list(zip(edges, heights, strict=True)), run.seconds) for heights in sums]
    arrivals = steps(list(zip(edges, run.arrivals, strict=True)), run.seconds)
    return draw(
        f"Purchases a second over {run.seconds:g} seconds: at most {max(run.arrivals):,.0f} came, "
        f"at most {max(run.sold):,.0f} were sold.",
        seconds_axis(run.seconds),
        axis("requests a second", 0, scale.rate),
        [
            *(
                Area(kind, upper, lower)
                for kind, lower, upper in zip(STACK, outlines, outlines[1:], strict=False)
            ),
            *_story(run),
            Line("arrivals", arrivals),
        ],
    )


def waits(run: Run, scale: Scale) -> str:
    """Draw how long answers took in the course of the run."""
    middles = [run.slice_seconds * (number + 0.5) for number in range(len(run.arrivals))]
    return draw(
        f"Time to an answer over {run.seconds:g} seconds, median and 99 of a hundred.",
        seconds_axis(run.seconds),
        axis("milliseconds", 0, scale.wait_ms),
        [
            *_story(run),
            Line("p99", list(zip(middles, run.latency.p99_over_time, strict=True))),
            Line("p50", list(zip(middles, run.latency.p50_over_time, strict=True))),
        ],
    )


def distribution(run: Run, scale: Scale) -> str:
    """Draw which share of the answers took at most how long."""
    latency, nines = run.latency, math.log10(max(scale.answers, 10))
    named = ((0.5, latency.p50), (0.99, latency.p99), (0.999, latency.p999))
    points = [(_nines(share), ms) for share, ms in latency.distribution]
    return draw(
        f"Half of the answers took at most {latency.p50:g} ms, 99 % {latency.p99:g} ms, "
        f"99.9 % {latency.p999:g} ms.",
        Axis(
            "of the answers took at most",
            *(0.0, nines),
            [(_nines(share), words) for share, words in SHARES if _nines(share) <= nines],
        ),
        axis("milliseconds", 0, HEADROOM * scale.answer_ms),
        [
            Area("p99", points, [(x, 0.0) for x, _ in points]),
            Line("p99", points),
            *(
                Dot("p99", _nines(share), ms, f"{ms:,.0f} ms", "end" if share > 0.9 else "middle")
                for share, ms in named
                if latency.answers * (1 - share) >= 1
            ),
        ],
    )


def _nines(share: float) -> float:
    return -math.log10(1 - share) if share else 0.0


def _stacked(run: Run) -> list[list[float]]:
    """Return the heights of the answers over time, each kind on top of those before it."""
    heights, sums = [0.0] * len(run.arrivals), []
    for kind in STACK:
        rates: list[float] = getattr(run, kind)
        heights = [a + b for a, b in zip(heights, rates, strict=True)]
        sums.append(heights)
    return sums


def _story(run: Run) -> Iterator[Layer]:
    """Yield where the acts begin, and where the sale opens."""
    if run.opens_at is not None:
        yield Mark("opening", run.opens_at, "opens", anchor="end")
    for (_, begins_at), (name, _) in zip(run.acts, run.acts[1:], strict=False):
        yield Mark("act", begins_at, name)
