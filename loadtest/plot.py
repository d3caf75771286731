"""Draws bars with whiskers as SVG, by hand: for a README, in light and dark.

In: a name, a median, the least and the most for each bar. Out: the text of an SVG file, whose scale
is logarithmic, since the figures lie some powers of ten apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Final

from msgspec import Struct

WIDTH: Final = 760
LEFT, RIGHT, TOP, ROW, BAR = 168, 84, 74, 30, 16
STYLE: Final = """
  .page { fill: #ffffff } .text { fill: #1f2328 } .soft { fill: #59636e }
  .grid { stroke: #d1d9e0 } .ours { fill: #0969da } .theirs { fill: #afb8c1 }
  .whisker { stroke: #1f2328 }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
  .title { font-size: 16px; font-weight: 600 } .small { font-size: 11px } .bold { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .text { fill: #f0f6fc } .soft { fill: #9198a1 }
    .grid { stroke: #3d444d } .ours { fill: #4493f8 } .theirs { fill: #656c76 }
    .whisker { stroke: #f0f6fc }
  }
"""


class Bar(Struct, frozen=True):
    """One bar; `ours` are drawn to be seen first."""

    name: str
    middle: float
    least: float
    most: float
    ours: bool = False


def bars(title: str, note: str, rows: Sequence[Bar]) -> str:
    """Return the picture, the highest bar on top."""
    rows = sorted(rows, key=lambda bar: -bar.middle)
    low, high = _decades(rows)
    height = TOP + ROW * len(rows) + 34

    def x(figure: float) -> float:
        share = (math.log10(max(figure, low)) - math.log10(low)) / math.log10(high / low)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>',
        f'<text class="text title" x="20" y="30">{escape(title)}</text>',
        f'<text class="soft small" x="20" y="50">{escape(note)}; logarithmic scale</text>',
        *_grid(low, high, x, height - 34),
        *(line for number, bar in enumerate(rows) for line in _bar(bar, TOP + ROW * number, x)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _decades(rows: Sequence[Bar]) -> tuple[float, float]:
    """Return the powers of ten around all figures."""
    figures = [max(figure, 1.0) for bar in rows for figure in (bar.least, bar.most)]
    low = 10.0 ** math.floor(math.log10(min(figures)))
    return low, max(10.0 ** math.ceil(math.log10(max(figures))), low * 10)


def _grid(low: float, high: float, x: Callable[[float], float], bottom: int) -> Iterator[str]:
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        at = x(10.0**power)
        yield f'<line class="grid" x1="{at}" x2="{at}" y1="{TOP - 6}" y2="{bottom}"/>'
        yield (
            f'<text class="soft small" x="{at}" y="{bottom + 18}"'
            f' text-anchor="middle">{10**power:,}</text>'
        )


def _bar(bar: Bar, top: int, x: Callable[[float], float]) -> Iterator[str]:
    start, end, kind = x(0), x(bar.middle), "ours" if bar.ours else "theirs"
    bold = " bold" if bar.ours else ""
    middle, text = top + BAR / 2, top + BAR / 2 + 4.5
    yield (
        f'<text class="text{bold}" x="{LEFT - 10}" y="{text}"'
        f' text-anchor="end">{escape(bar.name)}</text>'
    )
    yield (
        f'<rect class="{kind}" x="{start}" y="{top}" width="{max(end - start, 1):.1f}"'
        f' height="{BAR}" rx="3"/>'
    )
    least, most = x(bar.least), x(bar.most)
    yield (
        f'<path class="whisker" fill="none" d="M{least} {middle}H{most}'
        f'M{least} {middle - 4}v8M{most} {middle - 4}v8"/>'
    )
    yield f'<text class="text{bold}" x="{max(end, most) + 8}" y="{text}">{bar.middle:,.0f}</text>'
