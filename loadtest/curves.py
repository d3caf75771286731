"""Draws curves over axes as SVG, by hand, as `plot.py` draws bars.

In: axes with their ticks, and layers of points. Out: an `<svg>` for a page, which gives the classes
their colours. Axes begin where their range does, for a figure at zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Final

from msgspec import Struct

WIDTH: Final = 460
HEIGHT: Final = 250
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 38, 40
TICKS: Final = 4  # about so many on an axis

Points = Sequence[tuple[float, float]]


class Axis(Struct, frozen=True):
    """A range, what it measures, and where it has which words."""

    label: str
    low: float
    high: float
    ticks: list[tuple[float, str]]


class Layer(Struct, frozen=True):
    """Something drawn: its class says how it looks."""

    kind: str

    def draw(self, canvas: Canvas) -> Iterator[str]:
        """Yield the elements."""
        raise NotImplementedError


class Line(Layer, frozen=True):
    """A line through points; None is a gap."""

    points: Sequence[tuple[float, float | None]]

    def draw(self, canvas: Canvas) -> Iterator[str]:
        """Yield one path, which starts anew after each gap."""
        path, pen = "", "M"
        for x, y in self.points:
            if y is None:
                pen = "M"
            else:
                path += f"{pen}{canvas.x(x)} {canvas.y(y)}"
                pen = "L"
        yield f'<path class="line {self.kind}" d="{path}"/>'


class Area(Layer, frozen=True):
    """What lies between two outlines over the same places."""

    upper: Points
    lower: Points

    def draw(self, canvas: Canvas) -> Iterator[str]:
        """Yield one closed path."""
        outline = [*self.upper, *reversed(self.lower)]
        path = "L".join(f"{canvas.x(x)} {canvas.y(y)}" for x, y in outline)
        yield f'<path class="area {self.kind}" d="M{path}Z"/>'


class Mark(Layer, frozen=True):
    """A line across the figure at one place of the x axis, with a word beside its top."""

    x: float
    word: str
    anchor: str = "start"

    def draw(self, canvas: Canvas) -> Iterator[str]:
        """Yield the line and the word."""
        at = canvas.x(self.x)
        beside = round(at + (4 if self.anchor == "start" else -4), 1)
        yield f'<path class="mark {self.kind}" d="M{at} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield (
            f'<text class="soft" x="{beside}" y="{TOP - 4}"'
            f' text-anchor="{self.anchor}">{escape(self.word)}</text>'
        )


class Dot(Layer, frozen=True):
    """A point with words above it."""

    x: float
    y: float
    words: str
    anchor: str = "middle"

    def draw(self, canvas: Canvas) -> Iterator[str]:
        """Yield the point and its words, which stay inside the figure."""
        x, y = canvas.x(self.x), canvas.y(self.y)
        above = max(y - 9, TOP + 10)
        yield f'<circle class="{self.kind}" cx="{x}" cy="{y}" r="3.5"/>'
        yield (
            f'<text class="{self.kind} words" x="{x}" y="{above}"'
            f' text-anchor="{self.anchor}">{escape(self.words)}</text>'
        )


class Canvas:
    """Where numbers lie on the picture."""

    def __init__(self, x: Axis, y: Axis) -> None:
        self.across, self.up = x, y

    def x(self, value: float) -> float:
        """Return how far from the left."""
        return round(LEFT + _share(value, self.across) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """Return how far from the top."""
        return round(HEIGHT - BOTTOM - _share(value, self.up) * (HEIGHT - TOP - BOTTOM), 1)


def draw(title: str, x: Axis, y: Axis, layers: Sequence[Layer]) -> str:
    """Return the picture; `title` says in words what is seen, for those who do not see it."""
    canvas = Canvas(x, y)
    label = escape(title, quote=True)
    parts = [
        f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" aria-label="{label}">',
        *_grid(canvas),
        *(element for layer in layers for element in layer.draw(canvas)),
        "</svg>",
    ]
    return "\n".join(parts)


def axis(label: str, low: float, high: float) -> Axis:
    """Return an axis with round numbers on it, a little longer than asked so that it ends on one.

    It starts at zero, or below it at a round number.
    """
    step = _round_step((high - low) / TICKS)
    first, last = math.floor(low / step), max(math.ceil(high / step), 1)
    ticks = [(number * step, number_text(number * step)) for number in range(first, last + 1)]
    return Axis(label, first * step, last * step, ticks)


def seconds_axis(seconds: float) -> Axis:
    """Return the axis of time, which ends with the run."""
    step = _round_step(seconds / TICKS)
    ticks = [(n * step, number_text(n * step)) for n in range(int(seconds / step) + 1)]
    return Axis("seconds", 0.0, seconds, ticks)


def number_text(value: float) -> str:
    """Return a number as people read it, with a true minus."""
    text = f"{value:,.0f}" if value == round(value) else f"{value:g}"
    return text.replace("-", "\N{MINUS SIGN}")


def steps(points: Points, until: float) -> list[tuple[float, float]]:
    """Return the outline of values each of which holds until the next one."""
    corners = [corner for a, b in pairwise(points) for corner in (a, (b[0], a[1]))]
    return [*corners, *points[-1:], *((until, value) for _, value in points[-1:])]


def _share(value: float, along: Axis) -> float:
    inside = min(max(value, along.low), along.high)
    return (inside - along.low) / ((along.high - along.low) or 1)


def _round_step(least: float) -> float:
    """Return the next of 1, 2 and 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(least, 1e-6)))
    steps = (power * digit for digit in (1, 2, 5))
    return next((step for step in steps if step >= least * 0.999), power * 10)


def _grid(canvas: Canvas) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value, words in canvas.up.ticks:
        at, kind = canvas.y(value), "zero" if value == 0 else "grid"
        yield f'<path class="{kind}" d="M{LEFT} {at}H{right}"/>'
        yield f'<text class="soft" x="{LEFT - 7}" y="{at + 4}" text-anchor="end">{words}</text>'
    for value, words in canvas.across.ticks:
        at = canvas.x(value)
        yield f'<path class="tick" d="M{at} {bottom}v4"/>'
        yield f'<text class="soft" x="{at}" y="{bottom + 17}" text-anchor="middle">{words}</text>'
    yield f'<text class="soft" x="4" y="14">{escape(canvas.up.label)}</text>'
    yield (
        f'<text class="soft" x="{right}" y="{HEIGHT - 5}"'
        f' text-anchor="end">{escape(canvas.across.label)}</text>'
    )
